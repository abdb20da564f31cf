from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.oxford_pet import oxford_pet, oxford_pet_binary


def test_the_folder_and_the_folder_that_holds_it_are_the_same(pets):
    assert [sample.name for sample in oxford_pet(pets).test] == [sample.name for sample in oxford_pet(pets.parent).test]


def test_trimap_values_become_classes_from_zero(pets):
    assert set(np.unique(oxford_pet(pets).test[0].mask)) == {0, 1, 2}


def test_official_parts_are_kept_apart(pets):
    data = oxford_pet(pets)
    parts = [{sample.name for sample in part} for part in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30
    assert parts[2] == {f"Abyssinian_{number}" for number in range(24, 30)}


def test_a_mask_that_is_no_trimap_is_named(pets):
    victim = pets / "annotations" / "trimaps" / "Abyssinian_25.png"
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(victim)
    with pytest.raises(ValueError, match=r"Abyssinian_25.png: it is not a trimap"):
        oxford_pet(pets).test[1]


def test_a_missing_list_says_what_to_give(pets):
    (pets / "annotations" / "test.txt").unlink()
    with pytest.raises(ValueError, match=r"has no annotations/test.txt; give the Oxford-IIIT Pet folder"):
        oxford_pet(pets)


def test_pet_against_background_is_class_1_and_leaves_the_border_out(pets):
    three, two = oxford_pet(pets).test[0].mask, oxford_pet_binary(pets).test[0].mask
    assert oxford_pet_binary(pets).classes == ("background", "pet")
    assert np.array_equal(two, np.array([1, 0, 255])[three])


def test_real_photos_are_read(real_data):
    data = oxford_pet(real_data)
    assert len(data.train) + len(data.validation) == 300
    assert data.test[0].picture.shape[:2] == data.test[0].mask.shape
