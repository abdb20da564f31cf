from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pytest

from torchseg.cli.command import help_texts
from torchseg.config import (
    CompressConfig,
    DistillConfig,
    ExportFlags,
    ImportConfig,
    ScoreConfig,
    SearchConfig,
    TrainConfig,
)
from torchseg.config.distillation import DistillationConfig
from torchseg.harness.runtimes.table import RUNTIMES


@pytest.mark.parametrize(
    ("text", "size"), [("", (64, 64)), ("96", (96, 96)), ("96,128", (96, 128)), (" 96 , 128 ", (96, 128))]
)
def test_image_size_is_one_number_or_two(text, size):
    assert DistillConfig(image_size=text).size == size


@pytest.mark.parametrize("text", ["x", "96,", "0", "1,2,3", "-4"])
def test_an_image_size_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="give N or H,W in pixels"):
        DistillConfig(image_size=text)


def test_the_run_folder_is_named_after_the_data():
    assert DistillConfig(data="oxford-pet").run == Path("runs/oxford-pet")
    assert DistillConfig(out=Path("here")).run == Path("here")


def test_files_are_all_pairs_of_format_and_precision():
    assert ExportFlags(formats="onnx,tflite", precisions="fp32").files == [("onnx", "fp32"), ("tflite", "fp32")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature is 0; give a positive number"),
        ({"alpha": 1.5}, "alpha is 1.5; give a share"),
        ({"teacher": None, "baseline": True}, "teacher is null, but baseline is given, which needs one"),
        ({"teacher": None, "transfer_set": Path("more")}, "teacher is null, but transfer_set is given"),
        ({"batch_size": 1}, "batch norm needs at least 2"),
        ({"learning_rate": 0}, "give a positive number"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1; give a positive number, e.g. 0.002"),
        ({"learning_rate": math.nan}, "learning_rate is nan; give a positive number"),
        ({"teacher_learning_rate": 0}, "teacher_learning_rate is 0; give a positive number"),
        ({"baseline_learning_rate": -1}, "baseline_learning_rate is -1; give a positive number"),
        ({"ema": 1}, r"ema is 1; give a decay in \[0, 1\), e.g. 0.99, or 0 for no average"),
        ({"ema": -0.5}, "ema is -0.5; give a decay"),
        ({"weight_decay": -0.1}, r"weight_decay is -0.1; give a number in \[0, 1\), e.g. 0.01"),
        ({"progressive": 1}, r"progressive is 1; give a share of the epochs in \[0, 1\), e.g. 0.5"),
        ({"progressive": 0.5, "image_size": "48"}, "images of 48x48 are too small to be halved: leave it out, or give"),
        ({"prune_at_start": True, "sparsity": 0.0}, "but sparsity is 0: give --sparsity, e.g. 0.8"),
        ({"feature_weight": -1}, "feature_weight is -1; give 0 to 1000, e.g. 1"),
        ({"feature_weight": float("nan")}, "feature_weight is nan; give 0 to 1000"),
        ({"feature_weight": 1, "prune_at_start": True}, "learns from logits alone: drop one of the two"),
        ({"teacher_rounds": 0}, "teacher_rounds is 0; give 1 to 5, e.g. 2"),
        (
            {"teacher_rounds": 2, "teacher_checkpoint": Path("net")},
            "but teacher_checkpoint is given, which is not trained",
        ),
        ({"transfer_ratio": -1}, "transfer_ratio is -1; give images without masks per labelled image, 0 to 16"),
        ({"views": -1}, "views is -1; give 0 for a new view every time"),
        ({"workers": -1}, "give 0 to 64 processes"),
        ({"epochs": -1}, "epochs is -1; give a number of epochs, or 0 for the default"),
        ({"cluster_epochs": -2}, "cluster_epochs is -2; give a number"),
        ({"cluster_layers": "head=inf"}, "cluster_layers gives head inf; give a whole number of values, 1 to 256"),
        ({"cluster_layers": "head=2.7"}, "gives head 2.7; give a whole number"),
        ({"prune_layers": "head=nan"}, "prune_layers gives head nan; give a share of zeros"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"seed": 2**70}, "give a whole number from 0 to 4294967295"),
        ({"threads": -1}, "threads is -1; give 1 to 1024, or auto"),
        ({"threads": 100_000}, "give 1 to 1024, or auto"),
        ({"micro_batches": 2, "batch_size": 3}, "each half needs 2 images: give 1"),
        ({"cache_gb": -1}, "give gigabytes, 0 to keep nothing, or auto"),
        (
            {"max_size_kb": 9, "student": "small_unet"},
            "max_size_kb is 9, but student is 'small_unet': drop it, or give --student auto",
        ),
        ({"max_size_kb": 9, "student_arguments": "depth=2"}, "student and arguments are chosen by latency and size"),
        ({"student": "auto", "max_size_kb": float("nan")}, "max_size_kb is nan; give a positive number"),
        ({"formats": "onx"}, r"formats names 'onx' \(did you mean 'onnx'\?\)"),
        ({"precisions": ","}, "precisions is empty"),
    ],
)
def test_flags_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DistillConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature is 0; give a positive number"),
        ({"alpha": 1.5}, "alpha is 1.5; give a share"),
        ({"transfer_ratio": 17}, "transfer_ratio is 17; give images without masks"),
        ({"weight_decay": 1}, "weight_decay is 1; give a number"),
        ({"learning_rate": 0}, "learning_rate is 0; give a positive number"),
        ({"channel_sparsity": 1}, "give the share of channels to remove"),
    ],
)
def test_compress_checks_the_flags_of_training_and_distillation_too(changes, message):
    with pytest.raises(ValueError, match=message):
        CompressConfig(checkpoint=Path("net"), **changes)


@pytest.mark.parametrize("config_class", [TrainConfig, DistillConfig])
@pytest.mark.parametrize(
    ("flags", "rate"), [({}, 5e-3), ({"data": "oxford-pet"}, 2e-3), ({"learning_rate": 0.01}, 0.01)]
)
def test_the_learning_rate_that_nobody_gave_fits_the_data(config_class, flags, rate):
    assert config_class(**flags).rate == rate


def test_every_command_that_trains_has_room_for_batch_norm():
    for config in (TrainConfig(), DistillConfig(), CompressConfig(checkpoint=Path("net"))):
        assert (config.batch_size, config.learning_rate) == (8, None)


def test_networks_trained_from_the_start_have_averaged_weights_and_recovery_has_no_flag_for_it():
    assert TrainConfig().ema == DistillConfig().ema == 0.99
    assert not hasattr(CompressConfig(checkpoint=Path("net")), "ema")


def test_distillation_has_the_same_defaults_in_every_command():
    settings = [
        {field.name: getattr(config, field.name) for field in fields(DistillationConfig)}
        for config in (DistillationConfig(), DistillConfig(), CompressConfig(checkpoint=Path("net")), SearchConfig())
    ]
    assert settings == [settings[0]] * 4
    assert settings[0] == {
        "temperature": 1.0,
        "alpha": 0.5,
        "soft_loss": "kl+dice",
        "transfer_ratio": 1.0,
        "distort": False,
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"runtimes": "onnx"}, "runtimes names 'onnx' .*did you mean 'onnxruntime'"),
        ({"thread_counts": "1,0"}, "thread_counts is '1,0'; give numbers above 0"),
        ({"mean": "0.5,0.5,0.5"}, "give one number per channel in both"),
        ({"scaling": "imagnet"}, "scaling is 'imagnet' .*did you mean 'imagenet'"),
        ({"scaling": "0-1", "mean": "0,0,0", "std": "1,1,1"}, "--scaling and --mean are both given"),
        ({"mean": "a,b", "std": "1,1"}, "mean is 'a,b'; give numbers separated by commas"),
    ],
)
def test_flags_of_score_that_make_no_sense_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        ScoreConfig(**flags)


def test_score_takes_the_threads_that_it_is_told_else_every_core():
    assert ScoreConfig(threads=3).thread_list == [3]
    assert ScoreConfig().thread_list == [ScoreConfig().cores]
    assert ScoreConfig(thread_counts="2,1,2").thread_list == [2, 1]


def test_the_flags_know_every_runtime():
    assert ScoreConfig(runtimes=",".join(RUNTIMES)).runtime_list == list(RUNTIMES)
    assert f"separated by commas: {', '.join(RUNTIMES)}. Default" in help_texts(ScoreConfig)["runtimes"]


def test_scaling_is_mean_and_deviation_of_pictures_in_zero_to_one():
    mean, std = ImportConfig(model=Path("net.keras"), scaling="-1-1").mean_and_std
    assert [(value - mean[0]) / std[0] for value in (0, 1)] == [-1, 1]
    mean, std = ImportConfig(model=Path("net.keras"), scaling="0-255").mean_and_std
    assert (1 - mean[0]) / std[0] == pytest.approx(255)
    own = ImportConfig(model=Path("net.keras"), mean="0.1,0.2,0.3", std="1,1,2")
    assert own.mean_and_std == ((0.1, 0.2, 0.3), (1, 1, 2))


@pytest.mark.parametrize(
    ("file", "stage"), [("a/Net v2.int8.tflite", "Net-v2"), ("saved", "saved"), ("net_1.keras", "net_1")]
)
def test_an_imported_model_is_called_after_its_file(file, stage):
    assert ImportConfig(model=Path(file)).stage == stage


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scaling": "imagnet"}, r"scaling is 'imagnet' \(did you mean 'imagenet'\?\)"),
        ({"mean": "0,0,0"}, "--mean and --std belong together"),
        ({"mean": "0,0", "std": "1,1,1"}, "--mean has 2 and --std 3 numbers; give one per channel"),
        ({"mean": "a,b,c", "std": "1,1,1"}, "give numbers separated by commas"),
        ({"name": "..."}, r"name is '\.\.\.'; give letters"),
    ],
)
def test_flags_of_an_import_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        ImportConfig(model=Path("net.keras"), **changes)
