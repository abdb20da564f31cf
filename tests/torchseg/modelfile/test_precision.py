from pathlib import Path

import pytest

from torchseg.modelfile.precision import Precision, precision_in_name


def test_precisions_are_written_as_on_the_command_line() -> None:
    assert [str(precision) for precision in Precision] == ["fp32", "fp16", "dynamic", "int8"]


@pytest.mark.parametrize("name", ["student.int8.onnx", "student.int8.end_to_end.tflite", "student.int8"])
def test_the_precision_comes_after_the_stage_in_a_name(name: str) -> None:
    assert precision_in_name(Path("fp32.run") / name) is Precision.INT8


@pytest.mark.parametrize("name", ["student.onnx", "student.v2.int8.onnx", "int8", "", ".int9.onnx", "a.INT8.onnx"])
def test_another_name_has_no_precision(name: str) -> None:
    assert precision_in_name(Path("fp32.run") / name) is None
