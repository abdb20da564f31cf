from __future__ import annotations

from torchseg.harness.csv_table import write_rows
from torchseg.harness.report.report import write_report
from torchseg.harness.scoring.columns import SCORE_COLUMNS


def test_a_run_of_which_no_file_could_be_scored_has_a_report_without_tradeoffs(tmp_path):
    row = {"artifact": "net.onnx", "stage": "net", "format": "onnx", "error": "it cannot be opened"}
    write_rows(tmp_path / "scores.csv", SCORE_COLUMNS, [row])
    assert "it cannot be opened" in write_report(tmp_path).read_text(encoding="utf-8")
    assert not (tmp_path / "figures/tradeoffs.png").exists()
