from __future__ import annotations

from torchseg.pipeline.summary import table_lines


def test_shares_become_percent_and_empty_cells_a_dash(tmp_path):
    (tmp_path / "scores.csv").write_text(
        "artifact,miou,argmax_agreement,latency_ms_min,size_bytes,certified\n"
        "student.onnx,0.6543,0.99991,3.456,1827000,true\n"
        "broken.onnx,,,,,\n"
    )
    lines = table_lines(tmp_path / "scores.csv")
    assert lines[1].split() == ["student.onnx", "65.43", "99.991", "3.46", "1827", "true"]
    assert lines[2].split() == ["broken.onnx", "-", "-", "-", "-", "-"]


def test_no_table_is_no_line(tmp_path):
    assert table_lines(tmp_path / "scores.csv") == []
