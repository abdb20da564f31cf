from __future__ import annotations

import pytest

from torchseg.data.masks.class_list import read_class_list

COLOURS = {0x000000: 0, 0xC08080: 1, 0x004080: 2}


@pytest.fixture
def listed(tmp_path):
    def read(text):
        (tmp_path / "classes.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_class_list(tmp_path / "classes.txt")

    return read


@pytest.mark.parametrize(
    "text",
    [
        "sky 000000\nperson C08080\ncar 004080\n",
        "sky\t000000\nperson\tc08080\ncar\t004080\n",
        "sky,000000\nperson, C08080\ncar;004080\n",
        "sky #000000\nperson #C08080\ncar: #004080\n",
        "sky 0x000000\nperson 0xC08080\ncar=0x004080\n",
        "#000000 sky\n#C08080 person\n#004080\tcar\n",
        "sky 0 0 0\nperson 192 128 128\ncar 0 64 128\n",
        "sky\t0\t0\t0\nperson\t192\t128\t128\ncar\t0\t64\t128\n",
        "sky,0,0,0\nperson,192,128,128\ncar,0,64,128\n",
        "name,r,g,b\nsky,0,0,0\nperson,192,128,128\ncar,0,64,128\n",
        "name r g b\nsky 0 0 0\nperson 192 128 128\ncar 0 64 128\n",
        "sky (0, 0, 0)\nperson [192,128,128]\ncar rgb(0, 64, 128)\n",
        "0 0 0 sky\n192 128 128 person\n0 64 128 car\n",
        "# label:color_rgb:parts:actions\nsky:0,0,0::\nperson:192,128,128::\ncar:0,64,128::\n",
        "0: sky 000000\n1: person C08080\n2: car 004080\n",
        "0 sky 0 0 0\n1 person 192 128 128\n2 car 0 64 128\n",
    ],
)
def test_colours_are_read_as_tools_write_them(listed, text):
    classes = listed(text)
    assert classes.names == ("sky", "person", "car")
    assert classes.colours == COLOURS
    assert classes.values == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize(
    "text",
    [
        "a\nstone facade\nwindow\n",
        b"\xef\xbb\xbfa\r\nstone facade\r\nwindow\r\n",
        "a\r\nstone facade\r\nwindow\r\n".encode("utf-16"),
        "a\nstone facade\nwindow\n".encode("utf-16-be"),
        "# my classes\n\na\nstone facade  # of any kind\nwindow\n",
        "0: a\n1: stone facade\n2: window\n",
        "0,a\n1,stone facade\n2,window\n",
        "2 window\n0 a\n1 stone facade\n",
        "a: 0\nstone facade: 1\nwindow: 2\n",
        '"a"\n"stone facade"\n"window"\n',
        "names:\n  0: a\n  1: stone facade\n  2: window\n",
        "names:\n  - a\n  - stone facade\n  - window\n",
        "id,name\n0,a\n1,stone facade\n2,window\n",
        "name;value\na;0\nstone facade;1\nwindow;2\n",
        "a 0\nwindow 2\nstone facade 1\n",
        "a,\nstone facade,\nwindow,\n",
        "__ignore__\na\nstone facade\nwindow\n",
    ],
)
def test_names_without_colours_are_read_as_people_write_them(listed, text):
    classes = listed(text)
    assert classes.names == ("a", "stone facade", "window")
    assert classes.colours == {}
    assert classes.values == {0: 0, 1: 1, 2: 2}


def test_numbers_at_the_start_of_lines_are_the_values_in_the_masks(listed):
    assert listed("0: road\n24: person\n26: car\n").values == {0: 0, 24: 1, 26: 2}


def test_numbers_at_the_end_of_a_name_belong_to_it(listed):
    assert listed("zone 1\nzone 2\n").names == ("zone 1", "zone 2")
    assert listed("2 doors\n4 doors\n").names == ("2 doors", "4 doors")


def test_a_class_called_ignore_is_none(listed):
    classes = listed("road\nignore\ncar\n")
    assert (classes.names, classes.values) == (("road", "car"), {0: 0, 1: 255, 2: 1})
    coloured = listed("ignore #000000\nroad #804080\ncar #00008E\n")
    assert (coloured.names, coloured.colours) == (("road", "car"), {0: 255, 0x804080: 0, 0x00008E: 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road\ncar\nroad\n", r"names the class 'road' twice, in lines 1 and 3; give each class its own name"),
        ("a 000000\nb 000000\n", r"gives the colour 000000 to 'a' \(line 1\) and 'b' \(line 2\); give each class its"),
        ("a\nb 804080\n", r"line 2: the end of 'b 804080' can be a colour or part of the name, and line 1 \('a'\)"),
        ("a 0 0 0\nb 0 300 0\n", r"line 2: the colour 0 300 0 has a number above 255"),
        ("0: a\n0: b\n", r"gives the value 0 twice, in lines 1 and 2"),
        ("0: a\n300: b\n", r"line 2: 300 is no mask value"),
        ("a #00000\nb #804080\n", r"line 1: '#00000' is no colour; write six hexadecimal digits"),
        ("a\nb #804080\n", r"line 1: 'a' has no colour, and line 2 \('b'\) has one; give every class its colour"),
        ("", r"names 0 classes; write at least two, one per line"),
        ("# nothing\na\n", r"names 1 classes; write at least two, one per line"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_with_its_line(listed, text, message):
    with pytest.raises(ValueError, match=rf"classes\.txt.*{message}"):
        listed(text)
