from __future__ import annotations

import os

import pytest
from PIL import Image

from torchseg.data.images.bands import read_header
from torchseg.data.images.known_headers import read_once
from torchseg.data.images.reader import RGB


def test_a_file_is_read_again_only_if_it_changed(tmp_path):
    read, path = [], tmp_path / "a.png"

    @read_once
    def text(path):
        read.append(path)
        return path.read_text()

    path.write_text("one")
    assert [text(path), text(path)] == ["one", "one"]
    path.write_text("two!")
    assert [text(path), text(path)] == ["two!", "two!"]
    path.write_text("six!")
    os.utime(path, ns=(1, 1))
    assert text(path) == "six!"
    assert len(read) == 3


def test_a_file_that_cannot_be_read_is_tried_again(tmp_path):
    path = tmp_path / "a.png"
    for content in (None, b"no image"):
        if content:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot read the image .*a\.png"):
            RGB.size(path)
    Image.new("L", (3, 2)).save(path)
    assert RGB.size(path) == (read_header(path).height, read_header(path).width) == (2, 3)
