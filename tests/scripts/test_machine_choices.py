"""Every command that trains, under every choice that is otherwise made from the machine."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from scripts import compress, distill, export, grid, search, train
from torchseg.checkpoint import load_checkpoint

PRECISIONS, PARTS, WORKERS = ("fp32", "bf16"), ((1, 1), (2, 2)), (0, 1)
CHOICES = [
    pytest.param(
        [
            f"--training_precision={precision}",
            f"--threads={threads}",
            f"--micro_batches={parts}",
            f"--workers={workers}",
        ],
        id=f"{precision}-{threads}thread{'s' * (threads > 1)}-{workers}worker{'s' * (workers != 1)}",
    )
    for precision, (threads, parts), workers in product(PRECISIONS, PARTS, WORKERS)
]
NETWORK = "base_width=4,depth=2"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("fabric_in_one_thread"),
    pytest.mark.parametrize("choices", CHOICES),
]


@pytest.fixture
def data(pictures):
    return ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--batch_size", "8"]


@pytest.fixture
def chain(data):
    """Teacher, student, zeros, shared values: four trainings of an epoch."""
    return [
        *(*data, "--teacher", "small_unet", "--teacher_arguments", NETWORK, "--student_arguments", NETWORK),
        *("--epochs", "1", "--teacher_epochs", "1", "--prune_epochs", "1", "--cluster_epochs", "1"),
        *("--prune_mode", "one_shot", "--formats", "onnx", "--precisions", "fp32"),
    ]


def _check_weights(folder, choices):
    """They are numbers, and the run says what they were made with."""
    network, card = load_checkpoint(folder)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in network.state_dict().values())
    assert 0 <= card.metrics["val_miou"] <= 1
    training = json.loads((folder.parent / "environment.json").read_text())["training"]
    precision, _, parts, workers = (flag.partition("=")[2] for flag in choices)
    assert training["training_precision"] == precision
    assert (training["micro_batches"], training["workers"]) == (int(parts), int(workers))


def test_train(choices, data):
    assert train.main([*data, "--model_arguments", NETWORK, "--epochs", "1", *choices]) == 0
    _check_weights(Path("runs/folder/trained"), choices)


def test_distill_with_recovery_after_pruning_and_clustering(choices, chain, measure_here, monkeypatch):
    measure_here(monkeypatch)
    assert distill.main([*chain, *choices]) == 0
    for stage in ("teacher", "student", "pruned", "clustered"):
        _check_weights(Path("runs/folder") / stage, choices)
    for certificate in Path("runs/folder/artifacts").glob("*.json"):
        assert json.loads(certificate.read_text())["verdict"]["passed"], certificate


def test_compress(choices, finished):
    flags = ["--prune_epochs", "1", "--prune_mode", "one_shot", "--cluster_epochs", "1", "--channel_sparsity", "0.5"]
    run = ["--channel_epochs", "1", "--batch_size", "8", "--out", "compressed"]
    assert compress.main(["runs/folder/student", *flags, *run, *choices]) == 0
    for stage in ("channel_pruned", "pruned", "clustered"):
        _check_weights(Path("compressed") / stage, choices)


def test_training_with_simulated_int8(choices, finished):
    choices = [flag for flag in choices if not flag.startswith("--micro_batches")]  # ranges want whole batches
    flags = ["--formats", "onnx", "--precisions", "fp32", "--qat_epochs", "1"]
    assert export.main(["runs/folder/student", *flags, *choices]) == 0
    network, _ = load_checkpoint(Path("runs/folder/student_qat"))
    assert all(np.isfinite(tensor.numpy()).all() for tensor in network.state_dict().values())


def test_search(choices, chain, monkeypatch):
    def export_size(model, spec, path, **options):
        path.write_bytes(b"0" * sum(each.numel() for each in model.parameters()))

    monkeypatch.setattr("torchseg.pipeline.search.budget.export_onnx", export_size)
    flags = ["--engine", "optuna", "--trials", "1", "--space", "alpha=0.1..0.9", "--out", "searched"]
    assert search.main([*chain, *choices, *flags]) == 0
    _check_weights(Path("searched/teacher"), choices)


RECIPE = """
base: {data: folder, image_size: 32, batch_size: 8, model: small_unet, epochs: 1}
factors: {width: {model_arguments.base_width: [4]}, file: {file: [torch]}}
measure: {pictures: 1}
"""


def test_grid(choices, pictures, train_here, monkeypatch):
    train_here(monkeypatch)
    Path("recipe.yaml").write_text(RECIPE)
    changes = [flag.removeprefix("--") for flag in choices if not flag.startswith("--threads")]
    threads = [flag for flag in choices if flag.startswith("--threads")]
    flags = ["--root", str(pictures), "--out", "grid", *threads, "--set", "model_arguments.depth=2", *changes]
    assert grid.main(["recipe.yaml", *flags]) == 0
    [trained] = Path("grid/trainings").glob("*/trained")
    _check_weights(trained, choices)
