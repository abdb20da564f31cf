import json
import re
from pathlib import Path

import pytest

from torchseg.modelfile.metadata import count_classes, metadata, recorded_spec
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


def test_a_file_says_how_to_feed_it_and_what_its_classes_are(spec: ImageSpec) -> None:
    entries = metadata(spec, layout="NHWC", precision=Precision.INT8)
    assert json.loads(entries["torchseg.classes"]) == list(spec.classes)
    assert json.loads(entries["torchseg.mean"]) == list(spec.mean)
    assert (entries["torchseg.layout"], entries["torchseg.precision"]) == ("NHWC", "int8")
    assert entries["torchseg.colour_order"] == "RGB"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("classes", "[[[", "classes in its metadata is '[[['"),
        ("classes", '["a", 1]', "classes[1] is 1, expected a text"),
        ("mean", "[NaN, 0, 0]", "mean[0] is nan, expected a finite number"),
        ("std", "[0.5]", "in its metadata, mean has 3 and std 1 values"),
    ],
)
def test_a_damaged_entry_is_named_with_the_file(name: str, text: str, expected: str, spec: ImageSpec) -> None:
    texts = metadata(spec, layout="NCHW", precision=Precision.FP32) | {f"torchseg.{name}": text}
    with pytest.raises(ValueError, match=re.escape(f"net.onnx is damaged: {expected}")):
        recorded_spec(texts, size=(16, 24), channels=3, path=Path("net.onnx"))


def test_classes_that_are_no_list_are_no_number_of_classes() -> None:
    with pytest.raises(ValueError, match=r"net.onnx is damaged: classes in its metadata is 7, expected a list"):
        count_classes({"torchseg.classes": "7"}, path=Path("net.onnx"))
    assert count_classes({}, path=Path("net.onnx")) is None
