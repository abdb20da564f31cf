from __future__ import annotations

import pytest

from torchseg.data.text_file import read_lines


def test_the_mark_of_an_editor_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "classes.txt").write_bytes("\ufeffStraße\r\nHimmel\r\n".encode())
    assert read_lines(tmp_path / "classes.txt") == ["Straße", "Himmel"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_texts_of_wide_characters_are_read(tmp_path, encoding):
    (tmp_path / "classes.txt").write_text("Straße\nHimmel\n", encoding=encoding)
    assert read_lines(tmp_path / "classes.txt") == ["Straße", "Himmel"]


def test_a_list_in_another_encoding_is_refused_by_name(tmp_path):
    (tmp_path / "classes.txt").write_bytes("Straße\nHimmel\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"classes\.txt is not UTF-8 text .*; save it again with the encoding UTF-8"):
        read_lines(tmp_path / "classes.txt")
