from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tf_bridge.tflite.end_to_end import TfliteIo, change_io
from tf_bridge.tflite.export import export_tflite
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


def test_other_ends_leave_the_answer_as_it_was(tmp_path: Path, network: nn.Module, spec, images) -> None:
    plain = tmp_path / "net.tflite"
    export_tflite(network, spec, plain, precision=Precision.INT8, calibration=images)
    expected = open_runtime(plain).predict(images)
    for io, number in ((TfliteIo.UINT8, "uint8"), (TfliteIo.FLOAT, "float32")):
        path = tmp_path / f"net.{io}.tflite"
        change_io(plain, path, io)
        described = describe_file(path)
        (source,), (target,) = described["inputs"], described["outputs"]
        assert (source["name"], source["type"]) == ("image", number)
        assert (target["name"], target["type"]) == ("logits", number)
        assert described["metadata"] == describe_file(plain)["metadata"]
        np.testing.assert_allclose(open_runtime(path).predict(images), expected, atol=1e-6)


def test_a_file_with_float_ends_is_refused(tmp_path: Path, spec) -> None:
    export_tflite(nn.Conv2d(3, 3, 1), spec, tmp_path / "net.tflite")
    with pytest.raises(ValueError, match="does not take and give int8"):
        change_io(tmp_path / "net.tflite", tmp_path / "other.tflite", TfliteIo.UINT8)
