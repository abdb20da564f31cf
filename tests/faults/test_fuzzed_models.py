"""Damaged model files end every command with exit code 0, 1 or 2, without a traceback, in bounded time and memory.

Files of TensorFlow go through the import.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from scripts import import_tf, predict, score, verify
from tests.faults.fork_server import ForkServer
from tests.faults.mutations import LONG, mutated, number_of, report
from torchseg.checkpoint import sha256_of
from torchseg.harness.host import peak_memory_mb
from torchseg.modelfile.certificate import certificate_path

if sys.platform != "win32":
    import resource

pytestmark = pytest.mark.slow
LIMIT_S = 60 if LONG else 300  # ordinary tests share a machine
LIMIT_MB = 4e9 / 2**20
ONE = ["--threads", "1"]
COMMANDS = {
    "predict": lambda file: predict.main([str(file), "image.png", "--out", "masks", *ONE]),
    "verify": lambda file: verify.main([str(file), *ONE]),
    "score": lambda file: score.main([str(file), "--out", "scored", *ONE]),
    "score --explain": lambda file: score.main(["--explain", str(file), *ONE]),
}


class Attempts:
    """Runs commands and counts how they ended, which must be in order.

    Attributes:
        outcomes: how often each exit code came.
        longest_s: that a command took.
        peak_mb: most resident memory of a process: this one, or one that it waited for.
    """

    def __init__(self, capsys):
        self._capsys = capsys
        self.outcomes, self.longest_s, self.peak_mb = Counter(), 0.0, 0.0

    def run(self, call, what):
        """The exit code of a command that is called."""
        started = time.monotonic()
        try:
            code = call()
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        self.longest_s = max(self.longest_s, time.monotonic() - started)
        said = self._capsys.readouterr()
        assert code in (0, 1, 2), f"{what}: exit code {code}"
        assert "Traceback" not in said.err + said.out, f"{what}: {said.err}"
        if code == 2:
            *_, last = [line for line in said.err.splitlines() if line.strip()] or [""]
            assert last.startswith("error: "), f"{what}: {said.err}"
        assert self.longest_s < LIMIT_S, what
        self.note_memory(_children_mb(), what)
        self.outcomes[f"exit {code}"] += 1
        return code

    def note_memory(self, children_mb, what):
        """Takes the peak of children into account, and that of this process."""
        self.peak_mb = max(self.peak_mb, children_mb, peak_memory_mb())
        assert self.peak_mb < LIMIT_MB, f"{what}: {self.peak_mb:.0f} MiB"

    def report(self, family):
        """Writes the numbers down."""
        report(family, self.outcomes, seconds=self.longest_s, peak_mb=self.peak_mb)


def _children_mb():
    """Most resident memory of a process that this one waited for, in MiB; 0 on Windows, which does not say."""
    return 0.0 if sys.platform == "win32" else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


@pytest.fixture
def attempts(capsys):
    return Attempts(capsys)


def _repair_certificate(file):
    """As somebody would who wants the file to be opened."""
    path = certificate_path(file)
    certificate = json.loads(path.read_text()) | {"sha256": sha256_of(file), "size_bytes": file.stat().st_size}
    path.write_text(json.dumps(certificate))


@pytest.mark.tflite
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_damaged_file_ends_every_command_in_order(
    kind, name, small_run, attempts, tmp_path, monkeypatch, time_quickly
):
    time_quickly(monkeypatch)
    monkeypatch.setattr("torchseg.harness.scoring.peak_memory.write_probes", lambda _: {})  # they are no damaged files
    copied = shutil.copytree(small_run, tmp_path / "run")
    file = copied / f"artifacts/trained.fp32.{kind}"
    whole = file.read_bytes()
    Image.new("RGB", (32, 32)).save("image.png")
    for number in range(number_of(500, short=4) // len(COMMANDS)):
        seed = number * len(COMMANDS) + list(COMMANDS).index(name)
        file.write_bytes(mutated(whole, seed))
        _repair_certificate(file)
        attempts.run(lambda: COMMANDS[name](file), f"seed {seed}, {name}")
    attempts.report(f"`{name}` of a damaged .{kind} file")
    file.write_bytes(whole)
    _repair_certificate(file)
    assert attempts.run(lambda: COMMANDS[name](file), name) == 0


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
def test_a_damaged_model_of_tensorflow_ends_the_import_in_order(
    tensorflow_models, few_images, attempts, tmp_path, monkeypatch
):
    folder, parts = tensorflow_models

    def import_model(model, run):
        flags = ["--data", "folder", "--root", str(few_images), "--image_size", "32", "--out", str(tmp_path / run)]
        return import_tf.main([str(model), *flags, *ONE])

    with ExitStack() as stack:
        if LONG:
            server = stack.enter_context(ForkServer())
            stack.enter_context(monkeypatch.context()).setattr("tf_bridge.from_tensorflow.process._run", server.run)
        for seed in range(number_of(300, short=2)):
            copied = shutil.copytree(folder, tmp_path / f"models{seed}")
            part = parts[2 * seed % len(parts)]
            (copied / part).write_bytes(mutated((folder / part).read_bytes(), seed))
            model = copied / Path(part).parts[0]
            attempts.run(lambda model=model, seed=seed: import_model(model, f"run{seed}"), f"seed {seed}, {part}")
        if LONG:
            attempts.note_memory(server.peak_mb, "a child that was forked")
            assert attempts.run(lambda: import_model(folder / "net", "forked"), "a whole model") == 0
    attempts.report("TensorFlow models")
    assert attempts.run(lambda: import_model(folder / "net", "whole"), "a whole model") == 0
