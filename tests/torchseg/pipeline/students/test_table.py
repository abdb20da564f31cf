from __future__ import annotations

from dataclasses import replace

import pytest

from torchseg.pipeline.students.table import TABLE, StudentRow, read_rows, table_lines, write_rows

ROW = StudentRow(
    student="small_unet_4",
    model="small_unet",
    arguments="base_width=4,decoder_widths=[32,16]",
    height=32,
    width=48,
    classes=3,
    format="onnx",
    runtime="onnxruntime",
    multiply_adds=12_000_000,
    parameters=113953,
    size_kb=152.0,
    latency_ms_median=0.5,
    latency_ms_min=0.4,
    gmac_per_s=30.0,
    versions="torch 2, onnx 1",
    cpu="",
)


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [ROW, replace(ROW, student="other", cpu="AMD EPYC", chosen=True)]
    write_rows(tmp_path / TABLE, rows)
    assert read_rows(tmp_path / TABLE) == rows
    assert read_rows(tmp_path / "none.csv") == []


@pytest.mark.parametrize("text", ["student,size\na,1\n", "student,width\na,wide\n"])
def test_another_table_is_refused(text, tmp_path):
    (tmp_path / TABLE).write_text(text)
    with pytest.raises(ValueError, match=r"students.csv is not a table of students .*remove it, or give --fresh"):
        read_rows(tmp_path / TABLE)


@pytest.mark.parametrize(
    "changes", [{"arguments": "base_width=8"}, {"height": 64}, {"classes": 5}, {"versions": "torch 3"}, {"cpu": "x"}]
)
def test_a_measurement_belongs_to_its_conditions(changes):
    assert replace(ROW, **changes).key != ROW.key
    assert replace(ROW, latency_ms_min=9.0, chosen=True).key == ROW.key


def test_disturbed_timings_are_told():
    header, line = table_lines([ROW])
    assert header.split()[:3] == ["student", "runtime", "MMAC"]
    assert line.split() == ["small_unet_4", "onnxruntime", "12.0", "113953", "152.0", "0.40", "0.50", "30.0"]
    last = table_lines([ROW, replace(ROW, latency_ms_median=0.6, chosen=True)])[-1]
    assert last == "1 of 2 medians are over 1.3 times the minimum: other work disturbed the timings"
