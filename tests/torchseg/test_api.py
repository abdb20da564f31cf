from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

import torchseg
from scripts import train as train_script
from torchseg import api
from torchseg.api.options import Listed, Named, config_for
from torchseg.api.page import FUNCTIONS, OPTIONS, RESULTS, page
from torchseg.checkpoint import save_checkpoint
from torchseg.config import CompressConfig, DistillConfig, TrainConfig
from torchseg.config.distillation import DistillationConfig
from torchseg.pipeline.run.recorded_config import PICTURE_FLAGS
from torchseg.trusted_code import VARIABLE

ROOT = Path(__file__).parents[2]
QUICK = {"batch_size": 8, "workers": 0, "threads": 1}
# What the functions take by a name of their own, or not at all: they write no files beside those that they give back.
OWN = {
    "train": {"teacher", "teacher_checkpoint", "student", "student_arguments", "epochs", "out", "transfer_set"}
    | {"teacher_arguments", "teacher_epochs", "teacher_learning_rate", "teacher_schedule", "teacher_rounds"}
    | {"baseline", "baseline_learning_rate", "formats", "precisions"}
    | {"max_latency_ms", "max_size_kb", "target", "prune_at_start", "folds"}
    | {each.name for each in fields(CompressConfig)}
    - {each.name for each in fields(TrainConfig)}
    - {field.name for field in fields(DistillationConfig)},
    "compress": {"checkpoint", "out", "teacher_checkpoint", "transfer_set", "sparsity", "clusters"},
    "export": {"checkpoint", "out", "formats", "precisions"},
    "score": {"files", "against", "out", "explain"},
    "adopt": {"weights", "model", "model_arguments", "code", "out"},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch, time_quickly, measure_here):
    time_quickly(monkeypatch)
    measure_here(monkeypatch)


@pytest.fixture
def data(drawn_pictures):
    return torchseg.open_data("folder", root=drawn_pictures, image_size=32)


@pytest.fixture(scope="module")
def trained(drawn_pictures, tmp_path_factory):
    """The folder `runs` with a teacher and its student, not to be changed."""
    home = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        pictures = torchseg.open_data("folder", root=drawn_pictures, image_size=32)
        small = {"base_width": 16, "depth": 1}
        teacher = torchseg.train("small_unet", pictures, epochs=1, arguments=small, out="runs/teacher", **QUICK)
        torchseg.train("small_unet", pictures, epochs=1, arguments=small, teacher=teacher, **QUICK)
    return home / "runs"


@pytest.fixture
def student(trained):
    shutil.copytree(trained, "runs")
    return torchseg.load("runs/folder-small_unet/student")


def _python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.tflite
def test_the_whole_way_from_pictures_to_a_table(student, data, capsys):
    report = torchseg.compress(student, data, sparsity=0.6, clusters=6, prune_epochs=9, cluster_epochs=1, **QUICK)
    files = torchseg.export(report.network, data, formats=["onnx", "tflite"], precisions=["int8"], threads=1)
    theirs = shutil.copy(files[1], "theirs.tflite")
    capsys.readouterr()
    table = torchseg.score([*files, student, theirs], data, threads=1)
    assert capsys.readouterr().out == ""

    assert report.passed
    assert report.folder.resolve() == Path("runs/folder-small_unet/compressed").resolve()
    assert report.network.card.stage == "clustered"
    assert [row["stage"] for row in report.rows] == ["original", "pruned", "clustered"]
    assert report.rows[2]["sparsity"] == pytest.approx(0.6, abs=0.01)
    assert report.rows[2]["unique_per_channel"] <= 6
    assert "clustered/model.safetensors" in str(report)
    assert repr(report).endswith("; passed)")

    assert [(each.format, each.precision, each.passed) for each in files] == [
        ("onnx", "int8", True),
        ("tflite", "int8", True),
    ]
    assert "clustered.int8.onnx: agrees on " in repr(files[0])
    assert [row["artifact"] for row in table.rows] == [
        *("clustered.int8.onnx", "clustered.int8.tflite", "student/model.safetensors"),
        "theirs.tflite",
    ]
    assert table.rows[0]["certified"] == "few images"  # of four images
    assert table.rows[3]["certified"] is None
    assert table.rows[3]["miou"] == table.rows[1]["miou"]
    assert str(table).startswith("file ")
    assert repr(table).startswith("ScoreTable(4 rows, best mean IoU ")
    assert (table.folder / "report.html").is_file()


def test_a_teacher_makes_the_training_a_distillation(student):
    assert student.card.stage == "student"
    assert set(student.card.parents) == {"teacher"}
    assert torchseg.load("runs/teacher/trained").card.parents == {}
    assert repr(student).startswith("Network(small_unet as student: 24,341 parameters, mean IoU ")


def test_a_second_call_trains_nothing(student, data, capsys):
    weights = student.folder / "model.safetensors"
    before = weights.stat().st_mtime_ns
    teacher = torchseg.load("runs/teacher/trained/card.json")
    again = torchseg.train("small_unet", data, epochs=1, arguments="base_width=16,depth=1", teacher=teacher, **QUICK)
    assert weights.stat().st_mtime_ns == before
    assert again.folder == student.folder
    assert capsys.readouterr().out == ""


def test_the_command_goes_on_where_the_function_stopped(student, drawn_pictures, capsys):
    flags = ["--data", "folder", "--root", str(drawn_pictures), "--image_size", "32", "--batch_size", "8"]
    flags += ["--workers", "0", "--threads", "1", "--epochs", "1", "--model_arguments", "base_width=16,depth=1"]
    assert train_script.main([*flags, "--out", "runs/teacher"]) == 0
    assert "\nNothing to do: runs/teacher/trained has " in capsys.readouterr().out


def test_a_network_predicts_classes_at_the_size_of_the_picture(student):
    labels = student.predict(np.zeros((20, 50, 3), np.uint8))
    assert labels.shape == (20, 50)
    assert labels.dtype == np.uint8
    with pytest.raises(ValueError, match=r"float64 \(20, 50, 3\); give uint8 \(H, W, 3\)"):
        student.predict(np.zeros((20, 50, 3)))


def test_data_shows_its_parts(data, drawn_pictures):
    assert repr(data) == (
        f"Data(folder in {drawn_pictures}: 22 train, 4 validation, 4 test, 0 transfer; "
        "32x32 images of ground, striped, checked, wire, ring)"
    )
    assert data.train[0].picture.shape == (32, 32, 3)
    assert (len(data.validation), len(data.test), data.spec.num_classes) == (4, 4, 5)


def test_an_image_size_may_be_two_numbers():
    assert torchseg.open_data("scenes", image_size=(32, 48)).spec.width == 48
    assert torchseg.open_data().spec.width == 64


def test_the_channels_and_the_range_of_images_can_be_given(drawn_pictures):
    data = torchseg.open_data("folder", root=drawn_pictures, channels=1, value_range=(0, 127.5), exif="ignore")
    assert (data.spec.channels, data.spec.value_range) == (1, (0, 127.5))
    assert data.pictures.test[0].picture.shape[2] == 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["foldr"], {}, "no data set 'foldr' .did you mean 'folder'"),
        (["folder"], {}, "read from disk"),
        (["folder"], {"root": "nowhere"}, "there is no folder"),
        (["scenes"], {"image_size": 0}, "image_size is '0'"),
    ],
)
def test_open_data_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        torchseg.open_data(*arguments, **options)


def test_load_refuses_what_is_no_checkpoint():
    with pytest.raises(ValueError, match="nowhere is not a checkpoint"):
        torchseg.load("nowhere")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("small_net", {}, "no model 'small_net' .did you mean 'small_unet'"),
        ("small_unet", {"learning_rat": 1.0}, "there is no option 'learning_rat' .did you mean 'learning_rate'"),
        ("small_unet", {"temperature": 4.0}, "there is no option 'temperature'"),
        ("small_unet", {"transfer_ratio": 2.0}, "there is no option 'transfer_ratio'"),
        ("small_unet", {"ema": 1.0}, "ema is 1.0; give a decay"),
        ("small_unet", {"schedule": "flat"}, "schedule is 'flat'"),
        ("small_unet", {"device": "gpu"}, "device is 'gpu'.*; choose from auto, cpu, cuda"),
        ("small_unet", {"epochs": -1}, "epochs is -1"),
        ("small_unet", {"arguments": {"width": 16}}, "takes no width"),
        ("small_unet", {"teacher": "nowhere"}, "nowhere is not a checkpoint"),
    ],
)
def test_train_refuses_before_it_makes_a_folder(data, model, options, message):
    with pytest.raises(ValueError, match=message):
        torchseg.train(model, data, **options)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 0.0, "clusters": None}, "nothing to do"),
        ({"sparsity": 1.5}, "sparsity is 1.5"),
        ({"prune_exclude": ["heads"]}, "heads"),
        ({"importance": "l1"}, "importance is 'l1'; choose from magnitude, "),
        ({"soft_loss": "sum"}, "soft_loss 'sum' names 'sum'"),
        ({"transfer_ratio": -1.0}, "transfer_ratio is -1.0"),
    ],
)
def test_compress_refuses(student, data, options, message):
    with pytest.raises(ValueError, match=message):
        torchseg.compress(student, data, **options)
    assert not Path("runs/folder-small_unet/compressed").exists()


def test_other_pictures_are_refused(student):
    scenes = torchseg.open_data("scenes")
    for function in (torchseg.compress, torchseg.export):
        with pytest.raises(ValueError, match=r"was made for 32x32 images.* but the data gives 64x64"):
            function(student, scenes)


def test_a_network_that_its_checkpoint_no_longer_holds_is_refused(student, data):
    torch.nn.init.zeros_(next(student.module.parameters()))
    for function in (torchseg.compress, torchseg.export, torchseg.score):
        with pytest.raises(ValueError, match="holds other weights than this network"):
            function(student, data)
    save_checkpoint(student.module, student.card, Path("kept"))
    files = torchseg.export(torchseg.load("kept"), data, formats="onnx", precisions="fp32", threads=1)
    assert [each.path for each in files] == [Path("artifacts/student.fp32.onnx")]


@pytest.mark.slow
def test_the_pictures_of_the_run_are_the_default(student):
    (plain, further) = torchseg.export(
        student, formats=["onnx"], precisions=["fp32"], out="files", end_to_end=True, threads=1
    )
    assert (plain.path, further.path) == (Path("files/student.fp32.onnx"), Path("files/student.fp32.end_to_end.onnx"))
    assert further.passed
    table = torchseg.score(student.folder, out="scores", against=plain, runtimes=["torch", "onnxruntime"], threads=1)
    assert {row["runtime"] for row in table.rows} == {"torch", "onnxruntime"}
    assert table.failures == ()


def test_export_refuses(student, data):
    with pytest.raises(ValueError, match=r"formats names 'onx' .did you mean 'onnx'"):
        torchseg.export(student, data, formats=["onx"])
    with pytest.raises(ValueError, match="there is no option 'pack'"):
        torchseg.export(student, data, pack=True)


def test_score_refuses(data):
    with pytest.raises(ValueError, match="no file is named"):
        torchseg.score([], data)
    with pytest.raises(ValueError, match=r"there is no file theirs\.tflite"):
        torchseg.score("theirs.tflite", data)
    with pytest.raises(ValueError, match=r"runtimes names 'litrt' .did you mean 'litert'"):
        torchseg.score("theirs.tflite", data, runtimes=["litrt"])


def test_lists_and_dictionaries_become_what_flags_take():
    flags = {"class_weights": [1, 0.5], "student_arguments": {"batch_norm": False, "widths": [16, 32], "dropout": 1e-5}}
    config = config_for(DistillConfig, {**flags, "prune_layers": {"head": 0}})
    assert config.class_weights == "1,0.5"
    assert config.student_arguments == "batch_norm=false,widths=[16, 32],dropout=1.0e-05"
    assert config.layer_sparsity == {"head": 0.0}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_the_flags_of_the_command(name):
    options, config = OPTIONS[name]
    hints, flags = get_type_hints(options), get_type_hints(config)
    assert hints.keys() == flags.keys() - OWN[name] - {*PICTURE_FLAGS, "download"}
    for option, kind in hints.items():
        assert kind == flags[option] or (flags[option] is str and kind in (Listed, Named))


def test_importing_the_package_imports_nothing_heavy():
    heavy = "{'torch', 'torchvision', 'tensorflow', 'onnx', 'onnxruntime', 'numpy', 'jsonargparse', 'torchseg.api'}"
    assert _python(f"import sys, torchseg; dir(torchseg); print({heavy} & set(sys.modules))") == "set()"


def test_the_package_hands_out_the_api_and_nothing_else():
    assert set(torchseg.__all__) == {*api.__all__, "__version__"} == {*FUNCTIONS, *RESULTS, "__version__"}
    assert set(torchseg.__all__) <= set(dir(torchseg))
    assert torchseg.open_data is api.open_data
    with pytest.raises(AttributeError, match="module 'torchseg' has no attribute 'opendata'"):
        _ = torchseg.opendata


@pytest.mark.parametrize("name", ["train", "compress"])
def test_a_package_of_the_same_name_is_called_like_the_function(name):
    package, function = getattr(torchseg, name), getattr(api, name)
    assert package is sys.modules[f"torchseg.{name}"]
    assert inspect.signature(package) == inspect.signature(function)
    assert package.__doc__ == function.__doc__
    with pytest.raises(
        TypeError, match="missing 1 required positional argument" if name == "compress" else "missing 2"
    ):
        package()


@pytest.mark.slow
def test_it_does_not_matter_whether_package_or_function_comes_first():
    code = "try:\n    torchseg.train()\nexcept TypeError as error:\n    print(error)"
    missing = "train() missing 2 required positional arguments: 'model' and 'data'"
    assert _python(f"import torchseg, torchseg.train.loop as loop; assert loop.fit\n{code}") == missing
    assert _python(f"import torchseg\n{code}\nimport torchseg.train.loop as loop; assert loop.fit") == missing


def test_the_page_is_made_from_the_docstrings():
    written = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m torchseg.api.page docs/reference/api.md"


def _small_network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 5, 1)).eval()


@pytest.fixture
def _nothing_is_trusted(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


@pytest.mark.usefixtures("_nothing_is_trusted")
def test_a_network_in_memory_is_adopted_as_a_program_unless_something_builds_it_again(data):
    module = _small_network()
    network = torchseg.adopt(module, data, scaling="0-1", out="runs/mine")
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(network.module(images), module(images))
    assert (network.card.builder, network.folder) == ("program", Path("runs/mine/adopted"))
    assert network.spec.mean == (0.0, 0.0, 0.0)
    assert 0 <= network.card.metrics["val_miou"] <= 1


@pytest.mark.usefixtures("_nothing_is_trusted")
def test_an_image_spec_is_enough_to_adopt_a_network_and_its_code(data):
    Path("my_net.py").write_text(
        "from torch import nn\n\n\ndef build(in_channels, num_classes, width):\n"
        "    layers = nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_classes, 1)\n"
        "    return nn.Sequential(*layers)\n"
    )
    module = _small_network()
    network = torchseg.adopt(module, data.spec, model="build", code="my_net.py", arguments={"width": 8}, out="mine")
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(network.module(images), module(images))
    assert (network.card.builder, network.card.metrics) == ("code:my_net.py:build", {})
    (file,) = torchseg.export(network, data, formats=["onnx"], precisions=["fp32"], threads=1)
    assert file.passed


@pytest.mark.slow
def test_a_network_of_smp_in_memory_says_itself_what_it_is(data):
    arguments = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    module = smp.Unet("mobilenet_v2", encoder_weights=None, classes=5, **arguments).eval()
    network = torchseg.adopt(module, data.spec)
    assert network.card.builder == "smp:Unet:mobilenet_v2"
    assert network.card.arguments.items() >= arguments.items()
