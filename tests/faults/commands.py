"""The commands in miniature, run as processes of their own, and what they leave."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
MARK = "TORCHSEG_FAULT_TEST"  # an environment variable that every descendant inherits
PROGRAM = """
import importlib, sys
if sys.argv[1] in ("train", "compress", "distill", "search"):
    import torchseg.train.loop as loop
    loop._SAVE_EVERY_S = 0.0
sys.exit(importlib.import_module(f"scripts.{sys.argv[1]}").main(sys.argv[2:]))
"""
ORPHAN_LIMIT_S = 5
TIMING = {
    *("latency_ms_median", "latency_ms_min", "latency_ms_p90", "load_ms", "peak_rss_mb", "rounds", "seconds"),
    *("peak_share", "latency_ratio", "latency_ratio_low", "latency_ratio_high", "speed", "noisy"),
}
_NETWORK = "base_width=4,depth=2"
_ONE = ["--threads", "1"]
_DATA = ["--image_size", "32", *_ONE, "--workers", "1"]
_DISTILLED = [
    *("--image_size", "32", "--workers", "0", "--teacher", "small_unet", "--teacher_arguments", _NETWORK),
    *("--student_arguments", _NETWORK, "--epochs", "1", "--teacher_epochs", "1"),
]
RECIPE = """
base: {data: scenes, image_size: 32, model: small_unet, workers: 0}
factors:
  epochs: [1, 2]
  quantization:
    "no": {file: torch}
    fp32: {file: fp32.onnx}
measure: {pictures: 4}
"""


def arguments(command: str, given: Path) -> list[str]:
    """Arguments of a command, without --out.

    Args:
        command: name of a script.
        given: folder with `train` and `export`, which those commands left, and a recipe.
    """
    trained, files = str(given / "train/trained"), given / "export"
    return {
        "train": [*_DATA, "--epochs", "3", "--model_arguments", _NETWORK],
        "compress": [
            *(trained, *_ONE, "--workers", "1", "--sparsity", "0.5", "--prune_mode", "one_shot"),
            *("--prune_epochs", "2", "--clusters", "4", "--cluster_epochs", "2"),
        ],
        "export": [trained, "--formats", "onnx", "--precisions", "fp32,int8", *_ONE],
        "score": [str(files / "trained.fp32.onnx"), str(files / "trained.int8.onnx"), "--data", "scenes", *_ONE],
        "distill": [
            *(*_DISTILLED, "--threads", "2", "--sparsity", "0", "--clusters", "null"),
            *("--formats", "onnx", "--precisions", "fp32"),
        ],
        "search": [*_DISTILLED, *_ONE, "--engine", "optuna", "--trials", "2", "--space", "alpha=0.1..0.9"],
        "grid": [str(given / "recipe.yaml"), *_ONE],
    }[command]


class Running:
    """A command as a process of its own, with all that it starts."""

    def __init__(self, command: str, given: Path, out: Path, *, extra: tuple[str, ...] = ()) -> None:
        self._mark = uuid.uuid4().hex
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._log = out.parent / f"{out.name}-{self._mark[:4]}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, command, *arguments(command, given), "--out", str(out), *extra],
                env={**os.environ, "PYTHONPATH": paths, MARK: self._mark},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=out.parent,
                start_new_session=True,
            )

    def finish(self) -> None:
        """Waits for the end, which must be a good one."""
        code = self.process.wait()
        assert code == 0, f"exit code {code}: {self.said()[-2000:]}"

    def said(self) -> str:
        """What it printed so far."""
        return self._log.read_text(errors="replace")

    def kill(self, *, after_s: float, group: bool) -> bool:
        """Kills it at a moment, alone or together with its process group; returns whether it had not ended before."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(after_s)
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def orphans(self) -> list[psutil.Process]:
        """Processes that it started and that live."""
        return [each for each in psutil.process_iter() if self._is_mine(each)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def check_no_orphan(self) -> None:
        """Fails if something that it started lives on; kills that."""
        deadline = time.monotonic() + ORPHAN_LIMIT_S
        while (left := self.orphans()) and time.monotonic() < deadline:
            time.sleep(0.1)
        lines = []
        for process in left:
            with suppress(psutil.Error):
                lines.append(" ".join(process.cmdline())[-300:])
                process.kill()
        assert not lines, f"alive after {ORPHAN_LIMIT_S} s: {lines}"


def results(out: Path) -> dict[str, object]:
    """Hash of each network and model file below a folder, and rows of its tables without measured times."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.suffix in (".onnx", ".tflite") or path.name == "model.safetensors":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".csv" and path.name in ("scores.csv", "per_class.csv", "per_image.csv", "search.csv"):
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            found[name] = [{key: value for key, value in row.items() if key not in TIMING} for row in rows]
    return found
