from __future__ import annotations

import subprocess
import sys

import pytest

from torchseg.modelfile.precision import Precision

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


def test_an_interpreter_tells_the_terminal_nothing_about_delegates(learnt_files):
    """In a process of its own: LiteRT says it once per process."""
    program = "import sys; from pathlib import Path; from tf_bridge.certify.file_layers import TfliteLayers; "
    program += "print(len(TfliteLayers(Path(sys.argv[1])).grids))"
    command = [sys.executable, "-c", program, str(learnt_files["tflite", Precision.INT8])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
    assert done.stderr == ""
