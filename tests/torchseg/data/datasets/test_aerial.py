from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.aerial import CLASSES, aerial

WATER, BLACK = (0xE2, 0xA9, 0x29), (0, 0, 0)


def _tiles(part):
    return {sample.name.removesuffix(" part_1") for sample in part}


def test_whole_tiles_are_held_out(aerial_tiles):
    data = aerial(aerial_tiles)
    assert _tiles(data.test) == {"Tile 2", "Tile 6"}
    assert _tiles(data.validation) == {"Tile 3"}
    assert _tiles(data.train) == {"Tile 1", "Tile 4", "Tile 5", "Tile 7", "Tile 8"}


def test_colours_become_classes_and_black_is_ignored(aerial_tiles):
    mask = aerial(aerial_tiles / "aerial").test[0].mask
    assert (mask[:3, :4] == CLASSES.index("water")).all()
    assert (mask[:3, 4:] == CLASSES.index("road")).all()
    assert (mask[3:] == 255).all()


def test_a_palette_means_its_colours(aerial_tiles):
    mask = Image.new("P", (8, 6), 1)
    mask.putpalette([*BLACK, *WATER])
    mask.save(aerial_tiles / "aerial/Tile 2/masks/part_1.png")
    assert (aerial(aerial_tiles).test[0].mask == CLASSES.index("water")).all()


def test_an_unknown_colour_is_named(aerial_tiles, save):
    save("aerial/Tile 2/masks/part_1.png", (1, 2, 3))
    with pytest.raises(ValueError, match=r"Tile 2/masks/part_1.png: it holds the colour 010203, .*does not name"):
        aerial(aerial_tiles).test[0]


def test_a_picture_without_mask_is_named(aerial_tiles):
    (aerial_tiles / "aerial/Tile 5/masks/part_1.png").unlink()
    with pytest.raises(ValueError, match=r"image .*Tile 5/images/part_1.jpg has no mask"):
        aerial(aerial_tiles)


def test_a_folder_without_tiles_says_what_to_give(tmp_path):
    with pytest.raises(ValueError, match=r"has no tiles; give the folder with 'Tile 1/images'"):
        aerial(tmp_path)


@pytest.mark.slow
def test_the_real_set_is_read(real_data):
    data = aerial(real_data)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [45, 9, 18]
    assert set(np.unique(np.concatenate([data.test[index].mask.ravel() for index in (0, 9)]))) <= {*range(6), 255}
