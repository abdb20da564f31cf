"""The classes of the Indian Driving Dataset, in the order of their values in each layout."""

from __future__ import annotations

LEVEL_3 = (
    *("road", "drivable fallback", "sidewalk", "non-drivable fallback", "person", "rider", "motorcycle", "bicycle"),
    *("autorickshaw", "car", "truck", "bus", "vehicle fallback", "curb", "wall", "fence", "guard rail", "billboard"),
    *("traffic sign", "traffic light", "pole", "obstacle fallback", "building", "bridge", "vegetation", "sky"),
)
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
LITE = ("drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects", "sky")
COLOURS = {  # of the repackaging with coloured masks, RGB
    "road": 0x804080,
    "parking": 0xFAAAA0,
    "sidewalk": 0xF423E8,
    "rail track": 0xE6968C,
    "person": 0xDC143C,
    "rider": 0xFF0000,
    "motorcycle": 0x0000E6,
    "bicycle": 0x770B20,
    "autorickshaw": 0xFFCC36,
    "car": 0x00008E,
    "truck": 0x000046,
    "bus": 0x003C64,
    "caravan": 0x00005A,
    "curb": 0xDCBE28,
    "wall": 0x66669C,
    "fence": 0xBE9999,
    "guard rail": 0xB4A5B4,
    "billboard": 0xAE4043,
    "traffic sign": 0xDCDC00,
    "traffic light": 0xFAAA1E,
    "pole": 0x999999,
    "other structure": 0xA9BBD6,
    "building": 0x464646,
    "bridge": 0x966464,
    "vegetation": 0x6B8E23,
    "sky": 0x4682B4,
    "unlabelled": 0x000000,
}
