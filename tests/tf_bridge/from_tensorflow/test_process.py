import importlib.util

import numpy as np
import pytest

from tf_bridge.from_tensorflow.process import import_apart
from torchseg.processes.confined import landlock_version
from torchseg.spec import ImageSpec

# Importing it to find out would import TensorFlow.
needs_tf2onnx = pytest.mark.skipif(importlib.util.find_spec("tf2onnx") is None, reason="needs pip install '.[tf]'")
SPEC = ImageSpec(height=8, width=12, classes=("a", "b"))
IMAGES = np.zeros((1, 3, 8, 12), np.float32)


@pytest.fixture
def saved_model(tmp_path):
    """A folder that looks like a SavedModel from outside."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"nothing of use")
    return folder


@pytest.fixture
def fake_tensorflow(tmp_path, monkeypatch):
    """Puts a TensorFlow of one's own before the real one, for child processes too."""

    def install(text):
        (tmp_path / "fake").mkdir()
        (tmp_path / "fake/tensorflow.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "fake"))

    return install


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@needs_tf2onnx
def test_a_crash_in_tensorflow_is_an_exception_here(saved_model, fake_tensorflow, work):
    fake_tensorflow("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(ValueError, match=r"the process that opened .*saved died with SIGSEGV.*save the model again"):
        import_apart(saved_model, SPEC, IMAGES, work, notes={})


@needs_tf2onnx
@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("ModuleNotFoundError('No module named keras')", r"install torchseg-compress\[tf\]"),
        ("ImportError('libtensorflow.so: failed to map segment')", "failed to map segment"),
    ],
)
def test_what_the_child_refuses_is_refused_here(error, message, saved_model, fake_tensorflow, work):
    fake_tensorflow(f"raise {error}\n")
    with pytest.raises(ValueError, match=message):
        import_apart(saved_model, SPEC, IMAGES, work, notes={})


def test_a_missing_extra_is_named(saved_model, monkeypatch, work):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs tensorflow and tf2onnx: install torchseg-compress\[tf\]"):
        import_apart(saved_model, SPEC, IMAGES, work, notes={})


def test_a_text_starts_no_process(tmp_path, work):
    (tmp_path / "net.keras").write_text("hello")
    with pytest.raises(ValueError, match=r"is not a complete \.keras file"):
        import_apart(tmp_path / "net.keras", SPEC, IMAGES, work, notes={})
    assert list(work.iterdir()) == []


@needs_tf2onnx
def test_a_process_that_does_not_end_is_killed(saved_model, fake_tensorflow, work, monkeypatch):
    fake_tensorflow("import time\ntime.sleep(600)\n")
    monkeypatch.setattr("tf_bridge.from_tensorflow.process._LIMIT_S", 1)
    with pytest.raises(ValueError, match=r"the process that opened .*saved has not ended within 1 s; .*save it again"):
        import_apart(saved_model, SPEC, IMAGES, work, notes={})


@needs_tf2onnx
@pytest.mark.skipif(not landlock_version(), reason="needs Landlock: Linux 5.13")
def test_a_model_that_gets_past_every_check_writes_nowhere_else(saved_model, fake_tensorflow, work, tmp_path):
    fake_tensorflow(f"open({str(work / 'inside')!r}, 'w')\nopen({str(tmp_path / 'attacked')!r}, 'w')\n")
    with pytest.raises(ValueError, match=r"Permission denied: .*attacked"):
        import_apart(saved_model, SPEC, IMAGES, work, notes={})
    assert (work / "inside").exists()
    assert not (tmp_path / "attacked").exists()
