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
        '"name","r","g","b"\n"sky","0","0","0"\n"person","192","128","128"\n"car","0","64","128"\n',
        "; classes\nsky 000000\n% people\nperson C08080\n-- traffic\n\u200bcar 004080\n/* end */\n",
        "name,r,g,b\nsky,0,0,0\nperson,192,128,128\ncar,0,64,128\n",
        "name r g b\nsky 0 0 0\nperson 192 128 128\ncar 0 64 128\n",
        "sky (0, 0, 0)\nperson [192,128,128]\ncar rgb(0, 64, 128)\n",
        "0 0 0 sky\n192 128 128 person\n0 64 128 car\n",
        "# label:color_rgb:parts:actions\nsky:0,0,0::\nperson:192,128,128::\ncar:0,64,128::\n",
        "0: sky 000000\n1: person C08080\n2: car 004080\n",
        "0 sky 0 0 0\n1 person 192 128 128\n2 car 0 64 128\n",
        "sky 0 0 0 255\nperson 192 128 128 255\ncar 0 64 128 255\n",
        "sky,0,0,0,255\nperson,192,128,128,255\ncar,0,64,128,255\n",
        "sky rgba(0, 0, 0, 255)\nperson RGBA(192, 128, 128, 255)\ncar rgba(0,64,128,255)\n",
        "sky RGB(0, 0, 0)\nperson RGB(192, 128, 128)\ncar RGB(0, 64, 128)\n",
        "sky #000000FF\nperson #C08080ff\ncar #004080FF\n",
        "sky #FF000000\nperson #ffC08080\ncar #FF004080\n",
        "sky\u00a0000000\nperson\u00a0C08080\ncar\u00a0004080\n",
        "| name | colour |\n|---|---|\n| sky | #000000 |\n| person | #C08080 |\n| car | #004080 |\n",
        "Class Name\tR\tG\tB\nsky\t0\t0\t0\nperson\t192\t128\t128\ncar\t0\t64\t128\n",
        "r,g,b,name\n0,0,0,sky\n192,128,128,person\n0,64,128,car\n",
        '{\n  "sky": [0, 0, 0],\n  "person": [192, 128, 128],\n  "car": [0, 64, 128]\n}\n',
        '{"sky": "#000000", "person": "#C08080", "car": "004080"}',
        "{'sky': (0, 0, 0),\n 'person': (192, 128, 128),\n 'car': (0, 64, 128)}\n",
        '[{"id": 0, "name": "sky", "color": "#000000"}, {"id": 2, "name": "car", "color": [0, 64, 128]}, '
        '{"id": 1, "name": "person", "color": [192, 128, 128, 255]}]',
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
        '[\n  "a",\n  "stone facade",\n  "window"\n]\n',
        '{\n  "a": 0,\n  "stone facade": 1,\n  "window": 2\n}\n',
        '{"0": "a", "2": "window", "1": "stone facade"}',
        '{"classes": [{"title": "a"}, {"title": "stone facade"}, {"title": "window"}]}',
        "['a', 'stone facade', 'window']\n",
        "nc: 3\nnames: ['a', 'stone facade', 'window']\n",
        "path: x\nnc: 3\nnames:\n  0: a\n  1: stone facade\n  2: window\n",
        "names: [a, stone facade, window]\n",
        "Classes\na\nstone facade\nwindow\n",
        "category\na\nstone facade\nwindow\n",
        "pixel_value,class_name\n0,a\n1,stone facade\n2,window\n",
        "3\na\nstone facade\nwindow\n",
        "* a\n* stone facade\n* window\n",
        "0 -> a\n1 -> stone facade\n2 -> window\n",
        "a \u2192 0\nstone facade \u2192 1\nwindow \u2192 2\n",
        "0 - a\n1 - stone facade\n2 - window\n",
        "a; // sky\nstone facade; // stone\nwindow;\n",
    ],
)
def test_names_without_colours_are_read_as_people_write_them(listed, text):
    classes = listed(text)
    assert classes.names == ("a", "stone facade", "window")
    assert classes.colours == {}
    assert classes.values == {0: 0, 1: 1, 2: 2}


def test_numbers_at_the_start_of_lines_are_the_values_in_the_masks(listed):
    assert listed("0: road\n24: person\n26: car\n").values == {0: 0, 24: 1, 26: 2}


def test_the_ignored_value_need_not_follow_the_others(listed):
    classes = listed("road 0\nperson 1\ncar 2\nignore 255\n")
    assert (classes.names, classes.values) == (("road", "person", "car"), {0: 0, 1: 1, 2: 2, 255: 255})
    assert listed("7 road\n8 car\n9 sky\n").values == {7: 0, 8: 1, 9: 2}


def test_words_of_headings_may_begin_the_names_of_classes(listed):
    assert listed("class a\nclass b\n").names == ("class a", "class b")
    assert listed("class red\nclass blue\n").names == ("class red", "class blue")
    assert listed("1\n2\n3\n").names == ("1", "2", "3")


def test_numbers_at_the_end_of_a_name_belong_to_it(listed):
    assert listed("zone 5\narea 6\n").names == ("zone 5", "area 6")
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
        ('{"a": 1, "b": 1}', r"gives the value 1 twice"),
        ('{"a": "red", "b": "blue"}', r"gives 'a' the colour 'red'; write #804080, or three numbers"),
        ('{"a": 0.5, "b": 1}', r"gives the colour 0.5; write #804080"),
        ('["a", 3]', r"has the entry 3, which is no class; write one name per line"),
        ('{"a": 1,', r"begins like JSON and is none \(.*\); write one class per line"),
        ("<classes>\n<class>a</class>\n</classes>\n", r"has another format \('<classes>'\); write one class per line"),
        ('item {\n  id: 1\n  name: "a"\n}\n', r"has another format \('item \{'\); write one class per line"),
        ("\n".join(f"class {number}" for number in range(300)), r"names 300 classes and masks hold at most 255"),
        ("# nothing\na\n", r"names 1 class; write at least two, one per line"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_with_its_line(listed, text, message):
    with pytest.raises(ValueError, match=rf"classes\.txt.*{message}"):
        listed(text)
