from __future__ import annotations

import io
import os
import pickle
from dataclasses import asdict

import numpy as np
import pytest

from torchseg.harness.measure.pixel_counts import evaluate_batch
from torchseg.harness.runtimes.messages import read_message, write_message
from torchseg.harness.runtimes.table import RUNTIMES
from torchseg.harness.worker import Worker
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS
from torchseg.modelfile.weights import StoredWeight, open_plain


def passed(message):
    """The message after it went through a stream."""
    stream = io.BytesIO()
    write_message(message, stream)
    return read_message(io.BytesIO(stream.getvalue()))


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "message",
    [("ok", None), ("error", "ValueError", "no such file"), ("load", ("net.onnx", {"kind": "", "threads": 1}))],
)
def test_texts_numbers_and_containers_pass(message):
    assert passed(message) == message


@pytest.mark.parametrize("kind", ["float32", "uint8", "int64", "bool", "float16"])
def test_arrays_pass_in_every_layout(kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    for each in (array, array[:, ::2], np.asfortranarray(array), array[0, 0, 1], array[:0]):
        assert np.array_equal(passed(("ok", each))[1], each)


def test_the_counts_of_a_batch_pass():
    logits = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    counts = evaluate_batch(logits, np.zeros((2, 8, 8), np.uint8), num_classes=3)
    received = passed(("ok", counts))[1]
    assert np.array_equal(received.counts, counts.counts)
    assert np.array_equal(received.labels, counts.labels)


def test_the_weights_of_a_file_pass():
    weight = StoredWeight("conv.weight", np.eye(3, dtype=np.int8), "int8", np.ones(3, np.float32), (3,))
    (received,) = passed(("ok", [weight]))[1]
    assert isinstance(received, StoredWeight)
    assert np.array_equal(received.values, weight.values)
    assert (received.name, received.dtype, received.sides) == (weight.name, weight.dtype, weight.sides)


@pytest.mark.parametrize("call", [open_plain, ModelFile], ids=["function", "class"])
def test_of_the_modules_that_describe_files_only_tuples_pass(call):
    with pytest.raises(pickle.UnpicklingError, match="expected arrays, counts and weights alone"):
        read_message(io.BytesIO(pickle.dumps(("ok", Attack(call, "net.tflite")))))


@pytest.mark.parametrize(
    "attack",
    [
        Attack(os.system, "touch attacked"),
        Attack(eval, "open('attacked', 'w')"),
        Attack(getattr, np.ndarray, "tofile"),
        Attack(np.load, "attacked", None, True),
    ],
)
def test_a_message_calls_nothing(attack, tmp_path):
    with pytest.raises(pickle.UnpicklingError, match=r"names [\w.]+; expected arrays, counts and weights alone"):
        read_message(io.BytesIO(pickle.dumps(("ok", attack))))
    assert not (tmp_path / "attacked").exists()


def _answers(name, path, images):
    """What a runtime's process may be asked for, as the process sends it."""
    worker = Worker(name, 1)
    worker.start()
    worker.load(str(path), asdict(DEFAULT_OPTIONS))
    masks = np.zeros((len(images), *images.shape[2:]), np.uint8)
    yield from (worker.predict(images), worker.probabilities(images), worker.labels(images, (5, 7)))
    yield from (worker.evaluate_batch(images, masks, 3), worker.output_kind(), worker.time(images[:1], 1, 1))
    yield from (worker.time_traced(images[:1], 1), worker.describe(), worker.peak_rss_mb(), worker.count_weights())
    yield from (worker.multiply_adds(images[:1].shape), worker.profile(images[:1]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("torch", "checkpoint"),
        ("onnxruntime", "onnx_file"),
        ("openvino", "onnx_file"),
        pytest.param("litert", "tflite_files", marks=[pytest.mark.tflite, pytest.mark.slow]),
    ],
)
def test_every_answer_of_every_runtime_passes(name, kind, images, request):
    pytest.importorskip(RUNTIMES[name].library)
    path = request.getfixturevalue(kind)
    for answer in _answers(name, path["fp32"] if kind == "tflite_files" else path, images):
        assert type(passed(("ok", answer))[1]) is type(answer)
