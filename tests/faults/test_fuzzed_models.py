"""Damaged model files end every command with exit code 0, 1 or 2, without a traceback and within bounded time.

Each file goes through one of the commands, in turn. Files of TensorFlow go through the import.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from scripts import import_tf, predict, score, verify
from tests.faults.mutations import LONG, mutated, number_of, report

pytestmark = pytest.mark.slow
LIMIT_S = 60 if LONG else 300  # ordinary tests share a machine
ONE = ["--threads", "1"]


def _commands(file, image):
    return {
        "predict": lambda: predict.main([str(file), str(image), "--out", "masks", *ONE]),
        "verify": lambda: verify.main([str(file), *ONE]),
        "score": lambda: score.main([str(file), "--out", "scored", *ONE]),
        "explain": lambda: score.main(["--explain", str(file), *ONE]),
    }


@pytest.fixture
def attempt(capsys):
    """Runs a command and counts how it ended, which must be in order."""
    outcomes: Counter[str] = Counter()

    def run(call, what):
        started = time.monotonic()
        try:
            code = call()
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        said = capsys.readouterr()
        assert code in (0, 1, 2), f"{what}: exit code {code}"
        assert "Traceback" not in said.err + said.out, f"{what}: {said.err}"
        if code == 2:
            assert [line[:7] for line in said.err.splitlines() if line.strip()][-1:] == ["error: "], (
                f"{what}: {said.err}"
            )
        assert time.monotonic() - started < LIMIT_S, what
        outcomes[f"exit {code}"] += 1
        return code

    run.outcomes = outcomes
    return run


@pytest.mark.tflite
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_damaged_file_ends_every_command_in_order(kind, small_run, attempt, tmp_path, monkeypatch, time_quickly):
    time_quickly(monkeypatch)
    copied = shutil.copytree(small_run, tmp_path / "run")
    file = copied / f"artifacts/trained.fp32.{kind}"
    whole = file.read_bytes()
    Image.new("RGB", (32, 32)).save("image.png")
    commands = _commands(file, Path("image.png"))
    for seed in range(number_of(500, short=4)):
        file.write_bytes(mutated(whole, seed))
        name = list(commands)[seed % len(commands)]
        attempt(commands[name], f"seed {seed}, {name}")
    report(f"{kind} files", attempt.outcomes)
    file.write_bytes(whole)
    assert {name: attempt(call, name) for name, call in commands.items()} == dict.fromkeys(commands, 0)


@pytest.fixture(scope="module")
def tensorflow_models(tmp_path_factory):
    """One convolution as a Keras file, in HDF5, and as a SavedModel; and the file to damage in each."""
    from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
    from tf_bridge.quiet import quiet

    pytest.importorskip("tensorflow")
    pytest.importorskip("tf2onnx")
    tf, folder = import_tensorflow(), tmp_path_factory.mktemp("tensorflow")
    image = tf.keras.layers.Input((32, 32, 3))
    with quiet():
        network = tf.keras.Model(image, tf.keras.layers.Conv2D(5, 3, padding="same")(image))
        network.save(folder / "net.keras")
        network.save(folder / "net.h5")
        network.export(str(folder / "net"), verbose=False)
    parts = ["net.keras", "net.h5", "net/saved_model.pb", "net/variables/variables.index"]
    return folder, [*parts, "net/variables/variables.data-00000-of-00001"]


@pytest.mark.tflite
def test_a_damaged_model_of_tensorflow_ends_the_import_in_order(tensorflow_models, attempt, tmp_path):
    folder, parts = tensorflow_models
    for seed in range(number_of(300, short=2)):
        copied = shutil.copytree(folder, tmp_path / f"models{seed}")
        part = parts[2 * seed % len(parts)]
        (copied / part).write_bytes(mutated((folder / part).read_bytes(), seed))
        model = copied / Path(part).parts[0]
        flags = ["--data", "scenes", "--image_size", "32", "--out", str(tmp_path / f"run{seed}"), *ONE]
        attempt(lambda model=model, flags=flags: import_tf.main([str(model), *flags]), f"seed {seed}, {part}")
    report("TensorFlow models", attempt.outcomes)
    flags = ["--data", "scenes", "--image_size", "32", "--out", str(tmp_path / "whole"), *ONE]
    assert attempt(lambda: import_tf.main([str(folder / "net"), *flags]), "a whole model") == 0
