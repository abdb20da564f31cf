"""A training that is killed at random moments ends with the weights of one that was not; `make faults` runs this."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("FAULT_SEEDS", "0")) // 40
PROGRAM = """
import sys
import torchseg.train.loop as loop
loop._SAVE_EVERY_S = 0.0
from scripts.train import main
sys.exit(main(sys.argv[1:]))
"""
FLAGS = ["--image_size", "32", "--epochs", "6", "--model_arguments", "base_width=4,depth=2", "--threads", "1"]


def _start(out):
    command = [sys.executable, "-c", PROGRAM, *FLAGS, "--workers", "1", "--out", str(out)]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL)


def _weights(out):
    return hashlib.sha256((out / "trained/model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_weights(seed, tmp_path):
    started = time.monotonic()
    assert _start(tmp_path / "whole").wait() == 0
    lasts, moments = time.monotonic() - started, random.Random(seed)
    for _ in range(3):
        process = _start(tmp_path / "killed")
        time.sleep(moments.uniform(0.2, 1.1) * lasts)
        process.kill()
        process.wait()
    assert _start(tmp_path / "killed").wait() == 0
    assert _weights(tmp_path / "killed") == _weights(tmp_path / "whole")
