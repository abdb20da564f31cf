from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.aerial import CLASSES, aerial

WATER, BLACK = (0xE2, 0xA9, 0x29), (0, 0, 0)


@pytest.fixture
def root(save, tmp_path):
    """Eight tiles of one picture, half water, half black."""
    mask = np.zeros((6, 8, 3), np.uint8)
    mask[:3] = WATER
    for tile in range(1, 9):
        save(f"aerial/Tile {tile}/images/part_1.jpg", (9, 9, 9))
        save(f"aerial/Tile {tile}/masks/part_1.png", mask)
    return tmp_path


def _tiles(part):
    return {sample.name.removesuffix(" part_1") for sample in part}


def test_whole_tiles_are_held_out(root):
    data = aerial(root)
    assert _tiles(data.test) == {"Tile 2", "Tile 6"}
    assert _tiles(data.validation) == {"Tile 3"}
    assert _tiles(data.train) == {"Tile 1", "Tile 4", "Tile 5", "Tile 7", "Tile 8"}


def test_colours_become_classes_and_black_is_ignored(root):
    mask = aerial(root / "aerial").test[0].mask
    assert (mask[:3] == CLASSES.index("water")).all()
    assert (mask[3:] == 255).all()


def test_a_palette_means_its_colours(root):
    mask = Image.new("P", (8, 6), 1)
    mask.putpalette([*BLACK, *WATER])
    mask.save(root / "aerial/Tile 2/masks/part_1.png")
    assert (aerial(root).test[0].mask == CLASSES.index("water")).all()


def test_an_unknown_colour_is_named(root, save):
    save("aerial/Tile 2/masks/part_1.png", (1, 2, 3))
    with pytest.raises(ValueError, match=r"Tile 2/masks/part_1.png: it holds the colour 010203, .*does not name"):
        aerial(root).test[0]


def test_a_picture_without_mask_is_named(root):
    (root / "aerial/Tile 5/masks/part_1.png").unlink()
    with pytest.raises(ValueError, match=r"picture .*Tile 5/images/part_1.jpg has no mask"):
        aerial(root)


def test_a_folder_without_tiles_says_what_to_give(tmp_path):
    with pytest.raises(ValueError, match=r"has no tiles; give the folder with 'Tile 1/images'"):
        aerial(tmp_path)


@pytest.mark.slow
def test_the_real_set_is_read(real_data):
    data = aerial(real_data)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [45, 9, 18]
    assert set(np.unique(np.concatenate([data.test[index].mask.ravel() for index in (0, 9)]))) <= {*range(6), 255}
