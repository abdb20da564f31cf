from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.data.splits.lists import read_split_lists


def _read(tmp_path, text, names, masks=None):
    (tmp_path / "train.txt").write_text(text)
    found, _ = read_split_lists({"train": tmp_path / "train.txt"}, names, masks=masks or {})
    return [str(path) for path in found["train"]]


def _names(*paths):
    return {"_".join(Path(path).with_suffix("").parts): Path(path) for path in paths}


def test_a_name_that_begins_like_a_comment_is_a_name(tmp_path):
    assert _read(tmp_path, "# two images\n#1\n#2.png\n", _names("#1.png", "#2.png")) == ["#1.png", "#2.png"]


@pytest.mark.parametrize("line", ["P1.JPG", "p1", "images/P1.png", "P1.jpg masks/p1.png"])
def test_letters_of_another_case_are_the_same_name_where_one_image_has_it(tmp_path, line):
    assert _read(tmp_path, line, _names("p1.jpg", "p2.jpg")) == ["p1.jpg"]
    assert _read(tmp_path, "P1", _names("p1.jpg", "P1.jpg")) == ["P1.jpg"]
    with pytest.raises(ValueError, match="names 'pA', but images/ has no such image"):
        _read(tmp_path, "pA", _names("pa.jpg", "PA.jpg"))


@pytest.mark.parametrize("line", ["1", "1.png"])
def test_a_name_that_two_folders_have_is_refused_without_the_folder(tmp_path, line):
    names = _names("north/1.png", "south/1.png", "south/2.png")
    assert _read(tmp_path, f"north/{line}\nsouth/{line}\n2\n", names) == ["north/1.png", "south/1.png", "south/2.png"]
    with pytest.raises(ValueError, match=f"names '{line}', but images/ has no such image"):
        _read(tmp_path, line, names)
