from __future__ import annotations

import pytest

from torchseg.harness.report.charts.training_curves import curve_plots, is_taught, loss_curves, loss_note, miou_curves
from torchseg.harness.report.run_record import read_run

CURVES = "epoch,train_loss,val_loss,val_miou{}\n1,0.5,,\n2,0.25,0.75,0.5{}\n"


@pytest.fixture
def run(tmp_path):
    """The curves of a teacher and its student, the latter with mean IoU on training images."""
    (tmp_path / "config.yaml").write_text("teacher: attention_unet\nteacher_checkpoint: null\n")
    for stage, more in (("teacher", ("", "")), ("student", (",train_miou", ",0.625"))):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "curves.csv").write_text(CURVES.format(*more))
    return read_run(tmp_path)


def test_losses_are_drawn_together_only_where_they_are_the_same_quantity(run):
    assert loss_curves(run, "teacher") == {"validation": [(2, 0.75)], "training": [(1, 0.5), (2, 0.25)]}
    assert loss_curves(run, "student") == {"validation": [(2, 0.75)]}
    assert "ended at 0.25, so the two do not compare" in loss_note(run, "student")
    assert "not drawn" not in loss_note(run, "teacher")


def test_without_a_teacher_a_student_learns_from_masks(run, tmp_path):
    (tmp_path / "config.yaml").write_text("teacher: null\n")
    assert is_taught(run, "student")
    assert not is_taught(read_run(tmp_path), "student")


def test_mean_iou_on_training_images_is_drawn_if_it_was_recorded(run):
    assert miou_curves(run) == {
        "teacher": [(2, 0.5)], "student": [(2, 0.5)], "student, training": [(2, 0.625)]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"), [("0.73", "73.0 %"), ("0.7466", "74.7 %"), ("1", "100 %"), ("0.00051", "0.0510 %")]
)
def test_the_last_values_in_a_key_have_three_digits_each(value, shown, tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher/curves.csv").write_text(f"epoch,train_loss,val_miou\n1,1234.5,0.5\n2,1234.5,{value}\n")
    plots = curve_plots(read_run(tmp_path))
    assert f"teacher {shown}</span>" in plots
    assert "training 1230</span>" in plots
