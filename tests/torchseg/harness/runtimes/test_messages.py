from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest

from torchseg.harness.measure.pixel_counts import evaluate_batch
from torchseg.harness.runtimes.messages import read_message, write_message


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
    with pytest.raises(pickle.UnpicklingError, match=r"a message names [\w.]+; expected arrays and counts alone"):
        read_message(io.BytesIO(pickle.dumps(("ok", attack))))
    assert not (tmp_path / "attacked").exists()
