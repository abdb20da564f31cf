from __future__ import annotations

from torchseg.pipeline.run.summary import comparison_lines, table_lines


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


def test_threads_are_shown_where_they_differ(tmp_path):
    (tmp_path / "scores.csv").write_text("artifact,runtime,threads\na.onnx,onnxruntime,1\na.onnx,onnxruntime,2\n")
    title, *_ = table_lines(tmp_path / "scores.csv")
    assert title.split()[:2] == ["file", "threads"]


def test_a_comparison_is_told_with_its_intervals(tmp_path):
    columns = ["artifact", "runtime", "threads", "against", "speed", "accuracy"]
    columns += [f"{name}{end}" for name in ("latency_ratio", "miou_difference") for end in ("", "_low", "_high")]
    row = ["a.onnx", "onnxruntime", "1", "b.onnx", "faster", "same", 0.5, 0.45, 0.6, -0.001, -0.004, 0.002]
    (tmp_path / "scores.csv").write_text(",".join(columns) + "\n" + ",".join(map(str, row)) + "\n")
    assert comparison_lines(tmp_path / "scores.csv") == [
        "a.onnx (onnxruntime, 1 thread) against b.onnx:\n"
        "  time      0.500 times (0.450 to 0.600): faster\n"
        "  mean IoU  -0.10 points (-0.40 to +0.20): same"
    ]
