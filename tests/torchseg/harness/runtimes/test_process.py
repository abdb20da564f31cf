from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError, _listen
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.processes.confined import landlock_version

FREE = "'NoNewPrivs:\\t0' in text"  # the system sets it, for each thread, before it takes rights away
needs_landlock = pytest.mark.skipif(not landlock_version(), reason="needs Landlock: Linux 5.13")


def test_a_process_computes_what_the_runtime_computes(onnx_file, images):
    with RuntimeProcess(onnx_file) as process:
        assert process.load() > 0
        logits = process.predict(images)
        np.testing.assert_array_equal(logits, open_runtime(onnx_file).predict(images))
        np.testing.assert_array_equal(process.labels(images), logits.argmax(axis=1))
        assert process.describe() == open_runtime(onnx_file).describe()


def test_it_measures_time_and_memory_in_the_child(onnx_file, images):
    with RuntimeProcess(onnx_file) as process:
        process.load()
        taken = process.time(images[:1], repeats=4)
        assert len(taken) == 4
        assert all(0 < milliseconds < 10_000 for milliseconds in taken)
        assert 1 < process.peak_rss_mb() < 2_000
        assert process.count_weights().max_unique_weights > 0


def test_a_damaged_file_is_an_exception_with_the_reason(tmp_path):
    path = tmp_path / "damaged.tflite"
    path.write_bytes(b"nothing of use")
    with RuntimeProcess(path) as process, pytest.raises(RuntimeProcessError, match=r"damaged\.tflite is not a TFLite"):
        process.load()


def test_a_call_that_fails_leaves_the_process_usable(onnx_file, images):
    with RuntimeProcess(onnx_file) as process:
        process.load()
        with pytest.raises(RuntimeProcessError, match=r"takes \[1, 3, 16, 24\]"):
            process.predict(images[:, :, :, :8])
        assert process.predict(images).shape == (3, 3, 16, 24)


def test_a_crash_of_the_child_is_an_exception_of_the_parent(onnx_file, images):
    with RuntimeProcess(onnx_file) as process:
        process.load()
        os.kill(process._process.pid, signal.SIGSEGV)
        with pytest.raises(RuntimeProcessError, match=r"onnxruntime process died with SIGSEGV .* export it again"):
            process.predict(images)
        with pytest.raises(RuntimeProcessError, match="SIGSEGV"):
            process.describe()


def test_an_unknown_kind_of_file_starts_nothing():
    with pytest.raises(ValueError, match=r"model\.pt is not a model file"):
        RuntimeProcess(Path("model.pt"))


def test_closing_twice_is_fine_and_ends_the_child(onnx_file):
    process = RuntimeProcess(onnx_file)
    process.close()
    process.close()
    assert process._process.returncode is not None


@pytest.fixture
def fake_runtime(tmp_path, monkeypatch):
    """Puts an ONNX Runtime of one's own before the real one, in child processes."""

    def install(on_load):
        (tmp_path / "fake").mkdir()
        (tmp_path / "fake/onnxruntime.py").write_text(
            "import os, signal, socket, tempfile, threading, time\n"
            "class SessionOptions: pass\n"
            "class InferenceSession:\n"
            f"    def __init__(self, *path, **options): {on_load}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "fake"))

    return install


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_runtime_that_dies_of_a_file_does_not_take_this_process_along(name, fake_runtime, onnx_file):
    fake_runtime(f"os.kill(os.getpid(), signal.{name})")
    with RuntimeProcess(onnx_file) as process, pytest.raises(ValueError, match=f"died with {name} during 'load'"):
        process.load()


def test_a_runtime_that_hangs_on_a_file_is_ended(fake_runtime, onnx_file, monkeypatch):
    fake_runtime("time.sleep(60)")
    monkeypatch.setattr("torchseg.harness.runtimes.process._LOAD_LIMIT_S", 0.1)
    with RuntimeProcess(onnx_file) as process:
        with pytest.raises(RuntimeProcessError, match=r"has not ended 'load' of .* within 0\.1 s; the file is"):
            process.load()
        assert process._process.returncode == -signal.SIGKILL


def test_a_file_that_computes_for_ever_is_ended(onnx_file, images, monkeypatch):
    with RuntimeProcess(onnx_file) as process:
        process.load()
        os.kill(process._process.pid, signal.SIGSTOP)
        monkeypatch.setattr("torchseg.harness.runtimes.process._CALL_LIMIT_S", 0.1)
        with pytest.raises(RuntimeProcessError, match=r"has not ended 'predict' of .* within 0\.1 s"):
            process.predict(images)
        assert process._process.returncode == -signal.SIGKILL


@needs_landlock
@pytest.mark.parametrize("attack", ["open('written', 'w')", "os.truncate('kept', 0)", "os.remove('kept')"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_takes_its_runtime_over_can_write_nowhere(attack, threads, fake_runtime, onnx_file):
    Path("kept").write_text("kept")
    fake_runtime(attack)
    with RuntimeProcess(onnx_file, threads=threads) as process, pytest.raises(ValueError, match="Permission denied"):
        process.load()
    assert not Path("written").exists()
    assert Path("kept").read_text() == "kept"


@needs_landlock
def test_no_thread_of_a_process_is_left_free(fake_runtime, onnx_file):
    every = "open(f'/proc/self/task/{each}/status').read() for each in os.listdir('/proc/self/task')"
    fake_runtime(
        f"raise ValueError('threads: %d, free: %d' % (len([{every}]), len([1 for text in ({every}) if {FREE}])))"
    )
    with (
        RuntimeProcess(onnx_file, threads=2) as process,
        pytest.raises(ValueError, match=r"threads: [2-9]\d*, free: 0"),
    ):
        process.load()


@pytest.mark.skipif(landlock_version() < 4, reason="needs Linux 6.7")
def test_a_file_that_takes_its_runtime_over_opens_no_connection(fake_runtime, onnx_file):
    fake_runtime("socket.create_server(('127.0.0.1', 0))")
    with RuntimeProcess(onnx_file) as process, pytest.raises(ValueError, match="Permission denied"):
        process.load()


def test_a_process_has_a_folder_for_temporary_files_which_goes_with_it(fake_runtime, onnx_file):
    fake_runtime("raise ValueError(tempfile.mkstemp()[1])")
    with RuntimeProcess(onnx_file) as process:
        with pytest.raises(ValueError, match=process._folder.name):
            process.load()
        assert os.listdir(process._folder.name)
    assert not Path(process._folder.name).exists()


def test_a_process_starts_where_nothing_but_the_three_streams_is_passed_on(onnx_file, images, monkeypatch):
    start = subprocess.Popen

    def windows_popen(command, *, pass_fds=(), preexec_fn=None, **options):
        if pass_fds or preexec_fn:
            raise ValueError("pass_fds not supported on Windows.")
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", windows_popen)
    with RuntimeProcess(onnx_file) as process:
        process.load()
        assert process.predict(images).shape == (3, 3, 16, 24)


def test_an_answer_that_breaks_off_is_none():
    answers = SimpleQueue()
    whole = pickle.dumps(("ok", np.zeros(1000)))
    _listen(io.BytesIO(whole + whole[:-10]), answers)
    assert answers.get()[0] == "ok"
    assert answers.get() is None
