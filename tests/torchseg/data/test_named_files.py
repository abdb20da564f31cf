from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from torchseg.data.named_files import NamedFiles, unique_names


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("p1.jpg", "p1.jpg"),
        ("p1.jpg", "p1.JPG"),
        ("p1", "p1.jpeg"),
        ("P1.jpg", "p1.png"),
        ("C:\\photos\\p1.jpg", "p1.jpg"),
        ("/home/me/photos/p1.jpg", "p1.JPG"),
        ("day\\p1.jpg", "day/p1.jpg"),
        ("v1.2", "v1.2.png"),
        (unicodedata.normalize("NFC", "ä.jpg"), unicodedata.normalize("NFD", "ä.png")),
    ],
)
def test_a_file_is_found_by_the_name_that_another_machine_gave_it(name, stored, tmp_path):
    (tmp_path / stored).parent.mkdir(exist_ok=True)
    (tmp_path / stored).touch()
    assert NamedFiles().find(name, [tmp_path / "missing", tmp_path]) == tmp_path / stored


def test_the_exact_name_comes_first_and_hidden_and_other_files_never(tmp_path):
    for name in ("p1.png", "p1.jpg", "P1.jpg", "._p2.jpg", "p2.txt"):
        (tmp_path / name).touch()
    files = NamedFiles((".jpg", ".png"))
    assert files.find("p1.png", [tmp_path]) == tmp_path / "p1.png"
    assert files.find("p1", [tmp_path]) == tmp_path / "p1.jpg"
    assert files.find("P1", [tmp_path]) == tmp_path / "P1.jpg"
    assert files.find("p2.jpg", [tmp_path]) is None
    assert files.find("p2.txt", [tmp_path]) is None


def test_names_have_as_many_folders_in_front_as_tell_them_apart():
    paths = [Path(each) for each in ("s/a/1.png", "s/b/1.png", "t/b/1.png", "t/b/2.png", "t/b/2.jpg", "s/3.png")]
    assert list(unique_names(paths).values()) == ["a_1", "s_b_1", "t_b_1", "t_b_2_png", "t_b_2_jpg", "3"]
