from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.modelfile.kinds import runtime_name


def test_an_unknown_kind_of_file_names_the_known_ones():
    with pytest.raises(ValueError, match=r"\.onnx, \.safetensors, \.tflite"):
        runtime_name(Path("model.pt"))
