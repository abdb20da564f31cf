from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import export, prepare
from scripts.distill import main
from torchseg.checkpoint import Card, read_card, save_checkpoint
from torchseg.harness.scoring.score import score_artifacts
from torchseg.modelfile.weights import StoredWeight
from torchseg.models import build_model
from torchseg.pipeline.stages import training
from torchseg.spec import ImageSpec

TIMING = {
    *("latency_ms_median", "latency_ms_min", "latency_ms_p90", "load_ms", "peak_rss_mb", "rounds"),
    *("peak_share", "latency_ratio", "latency_ratio_low", "latency_ratio_high", "speed", "noisy"),
}
RUN = Path("runs/folder")


def _scores(run: Path = RUN) -> list[dict[str, str]]:
    with (run / "scores.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMING} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_the_whole_chain_leaves_a_complete_run_folder(finished, capsys):
    for name in (
        *("config.yaml", "environment.json", "run.log", "data.json", "scores.csv", "per_class.csv", "per_image.csv"),
        *("report.html", "teacher/model.safetensors", "teacher/card.json", "teacher/curves.csv", "student/card.json"),
        *("artifacts/student.fp32.onnx", "artifacts/student.fp32.onnx.json", "artifacts/teacher.fp32.onnx"),
    ):
        assert (RUN / name).is_file(), name
    assert not list(RUN.rglob("*.partial"))
    assert not [path for path in RUN.rglob("*") if path.suffix in (".pkl", ".pt", ".pth", ".ckpt")]
    assert json.loads((RUN / "artifacts/student.fp32.onnx.json").read_text())["verdict"]["passed"]
    rows = {(row["stage"], row["format"]): row for row in _scores()}
    assert rows.keys() == {(stage, kind) for stage in ("teacher", "student") for kind in ("torch", "onnx")}
    assert float(rows["student", "onnx"]["argmax_agreement"]) > 0.999

    assert main(finished) == 0
    assert "Nothing to do" in capsys.readouterr().out


def _highest_rate(stage: str) -> float:
    with (RUN / stage / "curves.csv").open(newline="") as file:
        return max(float(row["learning_rate"]) for row in csv.DictReader(file))


@pytest.mark.slow
def test_teacher_student_and_baseline_are_each_trained_at_their_own_rate(flags, monkeypatch):
    monkeypatch.setattr("torchseg.pipeline.commands.distill.Chain._files", lambda _: ())  # has tests of its own
    rates = ["--learning_rate", "0.003", "--teacher_learning_rate", "0.009", "--baseline_learning_rate", "0.0005"]
    level = ["--schedule", "stable", "--teacher_schedule", "cosine", "--epochs", "5", "--teacher_epochs", "5"]
    assert main([*flags, *rates, *level, "--baseline"]) == 0
    assert _highest_rate("student") == 0.003
    assert 0.008 < _highest_rate("teacher") <= 0.009
    assert _highest_rate("baseline") == 0.0005
    before = _trained("teacher", "student", "baseline")
    assert main([*flags, *rates, *level, "--baseline", "--transfer_ratio", "0"]) == 0
    after = _trained(*before)
    assert [stage for stage in before if before[stage] != after[stage]] == ["student"]


def _trained(*stages: str) -> dict[str, bytes]:
    return {stage: (RUN / stage / "model.safetensors").read_bytes() for stage in stages}


@pytest.mark.slow
def test_a_second_round_of_the_teacher_learns_from_the_first(flags, monkeypatch):
    monkeypatch.setattr("torchseg.pipeline.commands.distill.Chain._files", lambda _: ())  # has tests of its own
    assert main(flags) == 0
    once = _trained("teacher", "student")
    assert main([*flags, "--teacher_rounds", "2"]) == 0
    assert _trained("teacher_round1")["teacher_round1"] == once["teacher"]
    twice = _trained("teacher", "student")
    assert all(once[stage] != twice[stage] for stage in once)
    assert read_card(RUN / "teacher").parents.keys() == {"teacher"}


def _ledger(run: Path = RUN) -> dict[str, dict[str, str]]:
    with (run / "ledger.csv").open(newline="") as file:
        return {row["artifact"]: row for row in csv.DictReader(file) if row["tensor"] == "total"}


@pytest.mark.slow
def test_zeros_and_shared_values_arrive_in_every_file(compressed, compressed_run, capsys):
    _, out = compressed_run
    assert "zeros reach 61% at step" in out
    assert "stay dense: head, up.3.project" in out
    ledger = _ledger()
    dense, packed = RUN / "artifacts/student.fp32.onnx", RUN / "artifacts/clustered.fp32.packed.onnx"
    assert packed.stat().st_size < dense.stat().st_size / 9
    for name in ("clustered/model.safetensors", "artifacts/clustered.fp32.onnx", f"artifacts/{packed.name}"):
        assert float(ledger[name]["sparsity"]) == pytest.approx(0.6, abs=0.001), name
        assert int(ledger[name]["unique_per_channel"]) <= 6, name
    for name in ("artifacts/clustered.int8.onnx", "artifacts/clustered.int8.packed.onnx"):
        assert float(ledger[name]["sparsity"]) >= 0.599, name
        assert int(ledger[name]["unique_per_channel"]) <= 6, name
    rows = {row["artifact"]: row for row in _scores()}
    assert rows["artifacts/clustered.fp32.packed.onnx"]["certified"] == "true"

    capsys.readouterr()
    assert main(compressed) == 0
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_that_lost_its_zeros_fails_the_run(compressed, monkeypatch, capsys):
    def dense(path):
        return [StoredWeight("weight", np.ones((2, 2), np.float32), "float32")]

    monkeypatch.setattr("torchseg.pipeline.stages.ledger.weights_in", dense)
    (RUN / ".stages/ledger.json").unlink()
    assert main(compressed) == 1
    assert "clustered.fp32.onnx: total: 60.00% zeros became 0.00%" in capsys.readouterr().out
    assert float(_ledger()["artifacts/clustered.fp32.onnx"]["sparsity"]) == 0


def test_wrong_compression_is_refused_before_an_earlier_run_is_touched(flags, compressing, capsys):
    (RUN / ".stages").mkdir(parents=True)
    (RUN / "config.yaml").write_text("of the earlier run")
    for changes, message in (
        (["--sparsity", "1"], "give a share in [0, 1)"),
        (["--clusters", "257"], "give 1 to 256 values"),
        (["--prune_end", "10 epochs"], "would end below its target"),
        (["--prune_end", "2 steps"], "a gradual one needs 10"),
        (["--prune_layers", "haed=0.5"], "did you mean 'head'"),
        (["--prune_layers", "head"], "give LAYER=NUMBER"),
        (["--cluster_exclude", "stam"], "did you mean 'stem.3'"),
        (["--prune_exclude", "stem,down,up,decode,head"], "nothing to prune"),
        (["--cluster_exclude", "stem,down,up,decode,head"], "nothing to cluster"),
    ):
        assert message in _refused([*compressing, *changes, "--fresh"], capsys)
        assert (RUN / "config.yaml").read_text() == "of the earlier run"


@pytest.mark.slow
def test_only_what_changed_is_computed_again(finished, capsys):
    capsys.readouterr()
    assert main([*finished, "--temperature", "4"]) == 0
    done = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Done in"))
    assert "teacher" not in done
    assert "student" in done


@pytest.mark.slow
def test_with_a_core_to_spare_files_of_the_teacher_are_made_in_another_process(finished, monkeypatch, capsys):
    teacher = RUN / "artifacts/teacher.fp32.onnx"
    teacher.unlink()
    with monkeypatch.context() as here:  # not in the other process, which starts afresh
        here.delattr("torchseg.pipeline.export.exporter.NetworkExport.export")
        assert main([*finished, "--threads", "2"]) == 0
    assert teacher.is_file()
    assert "artifacts/teacher.fp32.onnx" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_the_student_ends_with_the_same_scores(finished, monkeypatch):
    expected = _scores()
    shutil.rmtree(RUN)
    fit = training.fit

    def killed(model, task, *arguments, **options):
        if task.name == "student":
            raise KeyboardInterrupt
        return fit(model, task, *arguments, **options)

    monkeypatch.setattr(training, "fit", killed)
    assert main(finished) == 130
    monkeypatch.setattr(training, "fit", fit)
    assert not (RUN / "student").exists()
    assert main(finished) == 0
    assert _scores() == expected


@pytest.mark.slow
def test_a_failing_certificate_is_kept_aside_and_ends_in_one(flags, monkeypatch, capsys):
    monkeypatch.setattr("tf_bridge.certify.certificate.verdict", lambda *_, **__: ["argmax agreement is 0.5"])
    assert main(flags) == 1
    assert "FAILED: student.fp32.onnx fails its certificate: argmax agreement is 0.5" in capsys.readouterr().out
    assert (RUN / "artifacts/student.fp32.failed.onnx").is_file()
    assert (RUN / "artifacts/student.fp32.failed.onnx.json").is_file()
    assert not (RUN / "artifacts/student.fp32.onnx").exists()
    assert (RUN / "scores.csv").is_file()


@pytest.mark.slow
def test_files_of_an_earlier_training_do_not_pass_for_files_of_the_new_one(finished, monkeypatch, capsys):
    assert export.main([str(RUN / "student"), "--formats", "onnx", "--precisions", "fp16"]) == 0
    monkeypatch.setattr("tf_bridge.certify.certificate.verdict", lambda *_, **__: ["argmax agreement is 0.5"])
    assert main([*finished, "--learning_rate", "0.001"]) == 1
    left = {path.name for path in (RUN / "artifacts").glob("student*.onnx")}
    assert left == {"student.fp16.onnx", "student.fp32.failed.onnx"}
    assert {row["format"] for row in _scores() if row["stage"] == "student"} == {"torch"}
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.tflite
def test_given_teachers_a_baseline_and_a_transfer_set_take_part(finished, pictures):
    Path("more").mkdir()
    for seed in range(4):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(f"more/{seed}.png")
    more = ["--teacher_checkpoint", str(RUN / "teacher"), "--baseline", "--transfer_set", "more"]
    assert main([*finished, *more, "--formats", "tflite", "--out", "other"]) == 0
    rows = {(row["stage"], row["format"]): row for row in _scores(Path("other"))}
    assert ("baseline", "torch") in rows
    assert float(rows["student", "tflite"]["argmax_agreement"]) > 0.999
    assert (RUN / "teacher/model.safetensors").read_bytes() == Path("other/teacher/model.safetensors").read_bytes()
    both = f"{RUN / 'teacher'},{RUN / 'student'}"
    larger = [*finished, *more, "--formats", "onnx", "--out", "other", "--image_size", "64"]
    assert main([*larger, "--teacher_checkpoint", both]) == 0
    card = read_card(Path("other/teacher"))
    assert (card.builder, card.spec.height) == ("ensemble", 64)


def _refused(flags, capsys):
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


def test_wrong_input_ends_in_two_and_one_message(flags, pictures, capsys):
    assert "there is no folder" in _refused(["--data", "folder", "--root", "nowhere"], capsys)
    assert "did you mean 'scenes'" in _refused(["--data", "scene"], capsys)
    assert "did you mean 'small_unet'" in _refused([*flags, "--student", "smal_unet"], capsys)
    assert "did you mean 'base_width'" in _refused([*flags, "--student_arguments", "width=4"], capsys)
    assert "did you mean 'lovasz'" in _refused([*flags, "--loss", "lovazs"], capsys)
    assert "did you mean 'channel'" in _refused([*flags, "--soft_loss", "kl+chanel"], capsys)
    assert "did you mean 'stable'" in _refused([*flags, "--teacher_schedule", "stabel"], capsys)
    assert "give images without masks per labelled image" in _refused([*flags, "--transfer_ratio", "-1"], capsys)
    assert "baseline_learning_rate is 0.0" in _refused([*flags, "--baseline_learning_rate", "0"], capsys)
    assert "ema is 1.0; give a decay" in _refused([*flags, "--ema", "1"], capsys)
    assert "give median_frequency, or 5 positive numbers" in _refused([*flags, "--class_weights", "1,2"], capsys)
    assert "give NAME=VALUE pairs" in _refused([*flags, "--teacher_arguments", "4"], capsys)
    assert "use 32x32 or 48x48" in _refused([*flags, "--student_arguments", "depth=4", "--image_size", "40"], capsys)
    assert "is not a checkpoint" in _refused([*flags, "--teacher_checkpoint", "nowhere"], capsys)
    assert "there is no folder nowhere" in _refused([*flags, "--transfer_set", "nowhere"], capsys)
    assert not Path("runs").exists()


def test_masks_without_two_classes_are_refused(flags, pictures, capsys):
    (pictures / "classes.txt").write_text("pet\nbackground\n")
    for path in (pictures / "masks").iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    message = "the masks to learn from hold no class but pet; 255 is ignored"
    assert message in _refused(flags, capsys)
    assert prepare.main(["--data", "folder", "--root", str(pictures)]) == 1
    assert message in capsys.readouterr().out


def test_a_truncated_picture_is_named_before_the_training(flags, pictures, capsys):
    victim = pictures / "images" / "p3.png"
    victim.write_bytes(victim.read_bytes()[:200])
    assert f"cannot read the image {victim}" in _refused(flags, capsys)
    assert not (RUN / "teacher").exists()


@pytest.mark.slow
def test_a_teacher_with_other_classes_is_refused(finished, pictures, capsys):
    (pictures / "classes.txt").write_text("a\nb\nc\nd\ne\n")
    message = _refused([*finished, "--teacher_checkpoint", str(RUN / "teacher"), "--out", "other"], capsys)
    assert "knows the classes ground, striped, checked, wire, ring, but the data has a, b, c, d, e" in message


def test_a_teacher_and_a_pretrained_student_need_pictures_in_one_scaling(flags, capsys):
    spec = ImageSpec(height=32, width=32, classes=("a", "b"))
    save_checkpoint(build_model("small_unet", {}, spec), Card(builder="small_unet", spec=spec, stage="teacher"), RUN)
    lite = ["--student", "smp:Unet:tu-tf_efficientnet_lite0", "--student_arguments", "encoder_weights=imagenet"]
    message = _refused([*flags, *lite, "--teacher_checkpoint", str(RUN)], capsys)
    assert "scales images in another way than the pretrained student smp:Unet" in message


def test_an_unknown_flag_ends_in_two(capsys):
    assert "there is no flag --nonsense" in _refused(["--nonsense", "1"], capsys)


@pytest.mark.slow
def test_a_file_that_cannot_be_scored_ends_in_one_until_it_can(finished, monkeypatch, capsys):
    def fails(artifacts, *arguments, **options):
        score_artifacts(artifacts, *arguments, **options)
        return ["student.fp32.onnx: the process died"]

    with monkeypatch.context() as broken:
        broken.setattr("torchseg.pipeline.stages.scoring.score_artifacts", fails)
        (RUN / ".stages/score.json").unlink()
        assert main(finished) == 1
        assert main(finished) == 1
    assert "FAILED: student.fp32.onnx: the process died" in capsys.readouterr().out
    assert (RUN / "report.html").is_file()
    assert main(finished) == 0


@pytest.mark.parametrize(
    ("module", "more", "extra"),
    [
        ("tensorflow", ["--formats", "onnx,tflite"], "tf"),
        ("ai_edge_litert", ["--formats", "tflite"], "tf"),
        ("kmeans1d", ["--clusters", "6"], "compress"),
    ],
)
def test_a_missing_extra_is_named_before_the_training(module, more, extra, flags, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'torchseg-compress[{extra}]'" in _refused([*flags, *more], capsys)
    assert not Path("runs").exists()
