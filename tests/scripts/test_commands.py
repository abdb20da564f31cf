"""The commands beside the main job, in miniature and in a row, as a user would run them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from scripts import compress, distill, export, predict, report, score, train, verify
from torchseg.__main__ import COMMANDS, main
from torchseg.checkpoint import load_checkpoint, read_card
from torchseg.harness.csv_table import read_table
from torchseg.models.pretrained import LITE_SCALING
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.recorded_config import recorded_config

_SCRIPTS = Path(__file__).parents[2] / "scripts"
BUSY = r"another command is running in busy \(process \d+ on .*\); wait until it has ended, or give another --out"
RUN = Path("runs/folder")
ONNX = RUN / "artifacts/student.fp32.onnx"


@pytest.mark.slow
def test_verify_notices_one_changed_byte(finished, capsys):
    assert verify.main([str(ONNX)]) == 0
    assert "its certificate holds" in capsys.readouterr().out
    ONNX.write_bytes(ONNX.read_bytes()[:-1] + b"x")
    assert verify.main([str(ONNX)]) == 1
    assert "has changed since it was certified" in capsys.readouterr().out


@pytest.mark.slow
def test_verify_holds_the_pictures_of_old_and_new_certificates_against_those_of_today(finished, capsys):
    path = ONNX.with_name(f"{ONNX.name}.json")
    new = json.loads(path.read_text())
    validation = open_pictures(recorded_config(RUN)).validation
    names = [validation[index].name for index in range(new["images"]["count"])]
    assert len(names) == len(validation)
    for names_then, code, said in (
        (names, 0, "its certificate holds"),
        ([*names[:-1], "another"], 1, "the validation images are not those of the certificate"),
    ):
        images = {"names": names_then, "sha256": new["images"]["sha256"]}
        old = {name: value for name, value in new.items() if name not in ("layers", "standard_limits")}
        path.write_text(json.dumps({**old, "version": 1, "images": images, "calibration_images": []}))
        assert verify.main([str(ONNX)]) == code
        assert said in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_is_made_again(finished):
    (RUN / "report.html").unlink()
    assert report.main([str(RUN)]) == 0
    assert (RUN / "report.html").is_file()


@pytest.mark.slow
def test_the_report_notices_a_file_that_was_not_scored(finished, capsys):
    model = onnx.load(ONNX)
    model.doc_string = "another file"
    onnx.save(model, ONNX)
    assert report.main([str(RUN)]) == 1
    assert f"{ONNX}: has changed since it was scored; run score again\n" in capsys.readouterr().out
    assert "The file has changed since it was scored" in (RUN / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_file_is_held_against_another_and_explained(finished, capsys):
    assert score.main([str(ONNX), "--against", str(RUN / "student"), "--threads", "1", "--out", "compared"]) == 0
    assert "student.fp32.onnx (onnxruntime, 1 thread) against student" in capsys.readouterr().out
    assert Path("compared/report.html").is_file()

    assert score.main(["--explain", str(ONNX), "--threads", "1"]) == 0
    assert "costliest of" in capsys.readouterr().out


@pytest.mark.slow
def test_scores_on_the_training_images_cannot_be_taken_for_test_results(finished, capsys):
    tables = {path: path.read_bytes() for path in (*RUN.glob("*.csv"), *RUN.glob("*.json"), RUN / "report.html")}
    assert score.main([str(RUN), "--on_split", "train", "--out", "of_train", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "train mean IoU %" in said
    assert "These are no test results: they were measured on the train split." in said
    assert "Take " not in said
    for name in ("scores", "per_class", "per_image", "precision_recall"):
        assert {row["split"] for row in read_table(Path(f"of_train/{name}.csv"))} == {"train"}
    assert {row["split"] for row in read_table(RUN / "scores.csv")} == {"test"}
    assert int(read_table(Path("of_train/scores.csv"))[0]["images"]) == len(open_pictures(recorded_config(RUN)).train)
    assert {path: path.read_bytes() for path in tables} == tables

    assert report.main(["of_train"]) == 0
    page = Path("of_train/report.html").read_text(encoding="utf-8")
    for heading in ("<h1>of_train: scores of the train split</h1>", "<h2>Precision and recall of the train split</h2>"):
        assert heading in page
    assert "Mean IoU of the train split" in page
    assert verify.main([str(RUN)]) == 0


@pytest.mark.slow
def test_a_checkpoint_is_exported_to_another_folder(finished):
    assert export.main([str(RUN / "student"), "--formats", "onnx", "--precisions", "fp32", "--out", "exported"]) == 0
    assert Path("exported/student.fp32.onnx").is_file()


@pytest.mark.slow
def test_further_files_of_a_run_are_verified_predicted_with_and_scored(finished, pictures):
    assert predict.main([str(ONNX), str(pictures / "images"), "--out", "painted"]) == 0
    mask = np.asarray(Image.open("painted/p0.png"))
    assert mask.shape == (32, 32)
    assert mask.max() < 5

    further = ["--formats", "onnx", "--precisions", "fp32", "--end_to_end", "--dynamic_shape"]
    assert export.main([str(RUN / "student"), *further]) == 0
    baked = RUN / "artifacts/student.fp32.end_to_end.onnx"
    assert verify.main([str(baked), str(RUN / "artifacts/student.fp32.dynamic_shape.onnx")]) == 0
    assert predict.main([str(baked), str(pictures / "images"), "--out", "baked"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("baked/p0.png")), mask)

    (RUN / "scores.csv").unlink()
    assert score.main([str(RUN)]) == 0
    with (RUN / "scores.csv").open(newline="") as file:
        rows = {row["artifact"].split("/")[-1]: row for row in csv.DictReader(file)}
    # The same classes on every picture: the score of a file that takes pictures is that of the plain one.
    assert rows["student.fp32.end_to_end.onnx"]["miou"] == rows["student.fp32.onnx"]["miou"]
    assert float(rows["student.fp32.end_to_end.onnx"]["argmax_agreement"]) > 0.999
    assert rows["student.fp32.dynamic_shape.end_to_end.onnx"]["certified"] == "true"


@pytest.mark.slow
def test_one_network_trains_with_labels(pictures, capsys):
    flags = ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--epochs", "1", "--workers", "0"]
    flags += ["--model", "multiscale_unet", "--model_arguments", "base_width=16,depth=2"]
    flags += ["--loss", "lovasz+0.5*tversky+dice", "--class_weights", "median_frequency", "--schedule", "stable"]
    assert train.main(flags) == 0
    assert read_card(RUN / "trained").arguments == {"base_width": 16, "depth": 2}
    assert train.main(flags) == 0
    assert "Nothing to do" in capsys.readouterr().out

    short = ["--channel_epochs", "1", "--prune_epochs", "9", "--cluster_epochs", "1", "--workers", "0"]
    assert (
        compress.main([str(RUN / "trained"), "--channel_sparsity", "0.5", "--pack", "--schedule", "stable", *short])
        == 0
    )
    out = capsys.readouterr().out
    assert "channels removed from" in out
    small = RUN / "compressed"
    assert read_card(small / "clustered").resized
    assert read_card(small / "clustered").arguments["layers"] == "plain"
    with (small / "pruned/curves.csv").open(newline="") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates.count(max(rates)) > 3  # level, where a cosine has one peak
    after, before = (load_checkpoint(path)[0].encode[1][0] for path in (small / "clustered", RUN / "trained"))
    assert after.out_channels == before.square.out_channels / 2  # branches are folded before channels go
    packed = small / "artifacts/clustered.fp32.packed.onnx"
    assert packed.stat().st_size < (small / "artifacts/clustered.fp32.onnx").stat().st_size / 4
    assert verify.main([str(packed)]) == 0
    assert verify.main([str(small / "artifacts/clustered.fp16.packed.onnx")]) == 0
    assert (small / "ledger.csv").is_file()


@pytest.mark.slow
def test_a_pretrained_network_brings_the_scaling_of_its_pictures_along(pictures, monkeypatch):
    monkeypatch.setattr("torchseg.pipeline.commands.train.pretrained_scaling", lambda *_: LITE_SCALING)
    flags = ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--epochs", "1", "--workers", "0"]
    assert train.main(flags) == 0
    assert export.main([str(RUN / "trained"), "--formats", "onnx", "--precisions", "fp32"]) == 0
    file = RUN / "artifacts/trained.fp32.onnx"
    assert json.loads(file.with_name(f"{file.name}.json").read_text())["preprocessing"]["mean"] == [127 / 255] * 3
    assert verify.main([str(file)]) == 0
    short = ["--sparsity", "0", "--cluster_epochs", "1", "--workers", "0"]
    assert compress.main([str(RUN / "trained"), *short]) == 0
    assert read_card(RUN / "compressed/clustered").spec.std == (128 / 255,) * 3


def test_what_cannot_be_compressed_is_refused(capsys):
    assert compress.main(["nowhere"]) == 2
    assert "nowhere is not a checkpoint" in capsys.readouterr().err
    assert compress.main(["nowhere", "--channel_sparsity", "1"]) == 2
    assert "give the share of channels" in capsys.readouterr().err
    assert compress.main(["nowhere", "--sparsity", "0", "--clusters", "null"]) == 2
    assert "nothing to do" in capsys.readouterr().err
    assert compress.main(["nowhere", "--temperature", "0"]) == 2
    assert "temperature is 0.0; give a positive number" in capsys.readouterr().err
    assert compress.main(["nowhere", "--channel_sparsity", "0.5", "--channel_epochs", "-1"]) == 2
    assert "channel_epochs is -1; give a number of epochs" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_script_helps_without_importing_torch(name):
    script = str(_SCRIPTS / f"{name}.py")
    code = f"""
import runpy, sys
sys.argv = ["{name}", "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit:
    print("torch" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--print_config" in output
    assert output.splitlines()[-1] == "False"


def test_the_table_of_commands_is_the_folder_of_scripts():
    assert set(COMMANDS) == {path.stem for path in _SCRIPTS.glob("[!_]*.py")}


def test_an_unknown_command_brings_the_near_names(capsys):
    assert main(["distil"]) == 2
    assert "did you mean 'distill'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [verify, predict, report, score])
def test_a_missing_file_ends_in_two(command, capsys):
    assert command.main(["nowhere", *(["x.png"] if command is predict else [])]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("command", [train, distill])
def test_a_second_command_in_the_folder_of_a_running_one_is_refused(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with RunFolder(Path("busy")).held():
        assert command.main(["--image_size", "32", "--out", "busy", "--fresh"]) == 2
    assert re.search(BUSY, capsys.readouterr().err)


@pytest.mark.slow
def test_a_finished_run_is_left_alone_while_another_command_writes_to_it(finished, capsys):
    with RunFolder(RUN).held():
        for command, at in ((score, RUN), (report, RUN), (export, RUN / "student")):
            assert command.main([str(at)]) == 2
            assert re.search(BUSY.replace("busy", str(RUN)), capsys.readouterr().err)


def test_a_missing_extra_is_named_before_anything_is_written(monkeypatch, capsys):
    for module in ("torch_pruning", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)
    assert compress.main(["nowhere", "--channel_sparsity", "0.5", "--out", "small"]) == 2
    assert "pip install 'torchseg-compress[compress]'" in capsys.readouterr().err
    assert export.main(["nowhere", "--formats", "onnx,tflite", "--out", "files"]) == 2
    assert "pip install 'torchseg-compress[tf]'" in capsys.readouterr().err
    assert not Path("small").exists()
    assert not Path("files").exists()
