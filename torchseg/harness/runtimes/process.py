"""Runs a runtime in its own process, so that memory and time are its own and a crash does not end the caller."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.measure.pixel_counts import BatchCounts
from torchseg.harness.measure.weights import WeightCount
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.messages import read_message, write_message
from torchseg.harness.runtimes.registry import check_name
from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions
from torchseg.processes.child_limits import memory_advice, own_limits, time_limit_s
from torchseg.processes.exit_code import cause_of_end
from torchseg.processes.memory import tells_of_no_memory

Array = NDArray[np.float32]
Labels = NDArray[np.uint8]
_PROGRAM = "torchseg.harness.worker_process"
_LOAD_LIMIT_S = 120  # a damaged file can keep a runtime busy forever; an intact one opens within seconds
_CALL_LIMIT_S = 900  # for every other call; profiling the layers of a large file takes longest
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class RuntimeProcessError(ValueError):
    """A model file could not be opened or run; the message gives the reason in one sentence."""


class RuntimeProcess:
    """Opens one model file in a fresh Python process and measures it there.

    The process starts at once to import the runtime's library; `ready` and `load` wait for it. Use this class as a
    context manager, or call `close`. Once the process has died or hung, every further call raises the same error.
    """

    WORKER: ClassVar[str] = "torchseg.harness.worker:Worker"  # what the process makes, and calls the methods of

    def __init__(
        self, path: Path, *, name: str | None = None, threads: int = 1, options: RunOptions = DEFAULT_OPTIONS
    ) -> None:
        """Starts the process; raises ValueError if the kind of file or the runtime is unknown."""
        self.path, self.options = path, options
        self.name = check_name(name or runtime_name(path))
        self._failure: RuntimeProcessError | None = None
        self._imported = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # the only one that it can write into
        # Calls and results use the child's standard streams: on Windows a child inherits no others.
        self._process = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM, self.name, str(threads), self._folder.name, self.WORKER],
            env=_environment(threads, self._folder.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._answers: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._listener = Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True)
        self._listener.start()
        self._send("start")

    def ready(self) -> None:
        """Waits until the library is imported.

        Raises:
            RuntimeProcessError: if the runtime is not installed or the process died.
        """
        if not self._imported:
            self._imported = self._receive("start") is None

    def load(self) -> float:
        """Opens the file and returns the time that took, in milliseconds, without the library's import.

        Raises:
            RuntimeProcessError: if the file is damaged, the runtime is not installed, or the process died or hangs.
        """
        self.ready()
        self._send("load", str(self.path), asdict(self.options))
        return cast(float, self._receive("load", limit_s=time_limit_s(_LOAD_LIMIT_S)))

    def predict(self, images: Array) -> Array:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`; raises RuntimeProcessError."""
        return cast(Array, self._call("predict", images))

    def probabilities(self, images: Array) -> Array:
        """Probability of each class, `(B, K, H, W)`, of images like those for `predict`; raises RuntimeProcessError."""
        return cast(Array, self._call("probabilities", images))

    def labels(self, images: Array, *, size: tuple[int, int] | None = None) -> Labels:
        """Classes `(B, *size)` of normalised images `(B, C, H, W)`; `size` is `(H, W)` by default.

        Raises:
            RuntimeProcessError: if the file cannot be run.
        """
        return cast(Labels, self._call("labels", images, size or images.shape[2:]))

    def evaluate_batch(self, images: Array, masks: Labels, *, num_classes: int) -> BatchCounts:
        """Predicts images `(B, C, h, w)` and counts the pixels against masks `(B, H, W)`, at the masks' size.

        Raises:
            RuntimeProcessError: if the file cannot be run.
        """
        return cast(BatchCounts, self._call("evaluate_batch", images, masks, num_classes))

    def time(self, image: Array, *, repeats: int, warmup: int = 1) -> list[float]:
        """Milliseconds of each of `repeats` predictions of one image `(1, C, H, W)`; raises RuntimeProcessError."""
        return cast(list[float], self._call("time", image, repeats, warmup))

    def time_traced(self, image: Array, *, repeats: int) -> list[tuple[float, float]]:
        """Milliseconds and peak MiB, measured by Python's tracemalloc, of each of `repeats` predictions.

        Only to reproduce published numbers: tracemalloc slows Python down and does not see what runtimes allocate.
        """
        return cast(list[tuple[float, float]], self._call("time_traced", image, repeats))

    def output_kind(self) -> str:
        """What the file's values were taken for so far: `logit`, `probability`, `mask255`, `classes`, or nothing."""
        return cast(str, self._call("output_kind"))

    def describe(self) -> RuntimeInfo:
        """Conditions under which the process computes; raises RuntimeProcessError."""
        values = cast(dict[str, Any], self._call("describe"))
        return RuntimeInfo(**values)

    def peak_rss_mb(self) -> float:
        """Peak resident memory so far, in MiB, above that of the empty process; includes the library."""
        return cast(float, self._call("peak_rss_mb"))

    def count_weights(self) -> WeightCount:
        """Zeros and distinct values in the file; loads it a second time, so call `peak_rss_mb` first."""
        return WeightCount(**cast(dict[str, Any], self._call("count_weights")))

    def multiply_adds(self, image_shape: tuple[int, ...]) -> int | None:
        """Multiply-adds for one image `(1, C, H, W)`; None if the file does not declare its tensor shapes."""
        return cast("int | None", self._call("multiply_adds", image_shape))

    def profile(self, image: Array) -> Profile:
        """Times each layer for one image `(1, C, H, W)`; opens the file again. Raises RuntimeProcessError."""
        values = cast(dict[str, Any], self._call("profile", image))
        return Profile(**values | {"layers": [LayerCost(**each) for each in values["layers"]]})

    def close(self) -> None:
        """Ends the process; safe to call twice."""
        with suppress(OSError):  # the process died before it had read its last call
            cast(IO[bytes], self._process.stdin).close()
        self._ended(patience_s=5)
        self._listener.join(timeout=5)
        self._log.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, *arguments: object) -> object:
        self._send(method, *arguments)
        return self._receive(method)

    def _send(self, method: str, *arguments: object) -> None:
        if self._failure:
            raise self._failure
        try:
            write_message((method, arguments), cast(IO[bytes], self._process.stdin))
        except OSError as error:
            raise self._died(method) from error

    def _receive(self, method: str, *, limit_s: float | None = None) -> object:
        if self._failure:
            raise self._failure
        limit_s = limit_s or time_limit_s(_CALL_LIMIT_S)
        try:
            answer = self._answers.get(timeout=limit_s)
        except Empty:
            self._ended(patience_s=0)
            self._failure = RuntimeProcessError(
                f"{self.name} has not ended '{method}' of {self.path} within {limit_s:g} s; the file is probably "
                "damaged: export it again, or give more time (--max_minutes)"
            )
            raise self._failure from None
        if answer is None:
            raise self._died(method)
        if answer[0] == "ok":
            return answer[1]
        # Messages of this project's own errors are whole sentences and need no prefix.
        text = answer[2] if answer[1] in ("ValueError", "ImportError") else f"{answer[1]}: {answer[2]}"
        raise RuntimeProcessError(_with_advice(text or answer[1], self.path))

    def _ended(self, *, patience_s: float) -> int:
        """Exit code of the process; kills it if it does not end within `patience_s` seconds."""
        try:
            return self._process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _died(self, method: str) -> RuntimeProcessError:
        code = self._ended(patience_s=30)  # a crash that writes a core file closes the pipe long before it ends
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        last = f"; its last line: {said[-1][:300]}" if said else ""
        self._failure = RuntimeProcessError(
            f"the {self.name} process died with {cause_of_end(code)} during '{method}' of {self.path}{last}; "
            f"the file is probably damaged or needs more memory than it may take: export it again; {memory_advice()}"
        )
        return self._failure


def _with_advice(reason: str, path: Path) -> str:
    """The reason, and if it is a lack of memory, the file and the limit."""
    if not tells_of_no_memory(reason):
        return reason
    named = reason if str(path) in reason else f"{path} needs more memory than there is: {reason}"
    return f"{' '.join(named.split())[:500]}; {memory_advice()}"


def _listen(stdout: IO[bytes], answers: SimpleQueue[tuple[Any, ...] | None]) -> None:
    """Queues the child's results, and None once it is gone; a thread, because Windows pipes have no read timeout."""
    try:
        with stdout:
            while True:
                answers.put(read_message(stdout))
    except (EOFError, OSError, pickle.UnpicklingError):  # UnpicklingError: it died in the middle of a result
        answers.put(None)


def _environment(threads: int, folder: str) -> dict[str, str]:
    """Environment of the child: the same packages, `threads` threads in numeric libraries, and its own folder."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    fixed = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return {**os.environ, **fixed, **own_limits(), "PYTHONPATH": paths, "TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "2"}
