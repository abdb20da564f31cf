from __future__ import annotations

import pytest

from torchseg.harness.csv_table import CRLF, Table, read_table, write_rows


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "rows.csv"
    with Table(path, ["name", "share", "good", "note"]) as table:
        table.write({"name": "a, b", "share": 0.5, "good": True})
        table.write({"name": "c", "share": float("nan"), "good": None, "note": "two\nlines"})
    assert read_table(path) == [
        {"name": "a, b", "share": "0.5", "good": "true", "note": ""},
        {"name": "c", "share": "", "good": "", "note": "two\nlines"},
    ]


def test_a_table_has_its_name_only_when_it_is_complete(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old\n")
    with pytest.raises(ValueError, match="dict contains fields"), Table(path, ["name"]) as table:
        table.write({"unknown": "new"})
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_table_ends_its_lines_as_asked(tmp_path):
    rows = [{"name": "a"}, {"name": "b", "share": 0.5}]
    write_rows(tmp_path / "plain.csv", ["name", "share"], rows)
    write_rows(tmp_path / "rfc.csv", ["name", "share"], rows, line_end=CRLF)
    assert (tmp_path / "plain.csv").read_bytes() == b"name,share\na,\nb,0.5\n"
    assert (tmp_path / "rfc.csv").read_bytes() == b"name,share\r\na,\r\nb,0.5\r\n"


def test_a_missing_table_has_no_rows(tmp_path):
    assert read_table(tmp_path / "gone.csv") == []
