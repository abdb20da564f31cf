"""What only the file can tell of a certificate; whole files are in the tests of `verify`."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tf_bridge.certify.parity import Parity
from torchseg.pipeline.export.recorded_claims import float_layer_lies, not_checked, packed_lies, worst_image_lies

WORST = Parity(
    max_abs_error=0.4,
    mean_abs_error=0.1,
    logit_range=10.0,
    argmax_agreement=0.9,
    iou_difference=(0.0, 0.0),
    miou_drop=0.0,
    worst_image=0,
)


def named_worst(name, parity):
    """The lies of a certificate that calls this image the worst, where `a` is, and `b` agrees so well."""
    recorded, fresh = ({"differences": {"worst_image": each}} for each in (name, "a"))
    return worst_image_lies(recorded, fresh, ["a", "b"], lambda each: {"a": WORST, "b": parity}[each])


def test_an_image_that_was_not_compared_is_not_the_worst():
    assert named_worst("c", WORST) == ["it says worst image c, which is none of the images compared"]


def test_an_image_that_clearly_agrees_is_not_the_worst():
    said = ["it says worst image b, but it is a"]
    assert named_worst("b", replace(WORST, argmax_agreement=0.95)) == said
    assert named_worst("b", replace(WORST, max_abs_error=0.1)) == said


@pytest.mark.parametrize("parity", [replace(WORST, argmax_agreement=0.905), replace(WORST, max_abs_error=0.3)])
def test_another_processor_may_find_another_of_the_worst_images(parity):
    assert named_worst("b", parity) == []
    assert named_worst("a", parity) == []


def test_images_are_looked_up_where_they_cannot_be_compared_again():
    recorded, fresh = ({"differences": {"worst_image": each}} for each in ("b", "a"))
    assert worst_image_lies(recorded, fresh, ["a", "b"]) == []
    assert worst_image_lies(recorded, fresh, ["a"])


@pytest.mark.parametrize(
    ("precision", "named", "stored", "words"),
    [
        ("int8", ["stem, head"], {"stem": "float32", "head": "float32"}, ""),
        ("int8", ["stem"], {"stem": "float32", "head": "float32"}, "the file keeps head in float"),
        ("int8", ["stem"], {"stem": "int8"}, "its float layers are not those of the file, which stores stem as int8"),
        ("int8", ["resize"], {"stem": "int8"}, ""),  # without weights, so that the file does not tell
        ("fp16", ["stem"], {"stem": "float16"}, "which stores stem as float16"),
        ("fp16", [], {"stem": "float32", "head": "float16"}, "the file keeps stem in float"),
        ("fp16", ["stem"], {"stem": "float32", "head": "float16"}, ""),
    ],
)
def test_layers_in_float_are_those_of_the_file(precision, named, stored, words):
    said = float_layer_lies({"precision": precision, "float_layers": named}, stored)
    assert words in said[0] if words else said == []


def test_a_packed_file_is_as_much_smaller_as_it_says(tmp_path):
    source, packed = tmp_path / "net.int8.onnx", tmp_path / "net.int8.packed.onnx"
    source.write_bytes(b"x" * 1000)
    packed.write_bytes(b"x" * 400)
    made = {"file": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    recorded = {"float_layers": [], "packed_from": made, "times_smaller": 2.5}
    assert packed_lies(recorded, packed) == []
    assert not_checked(recorded, {}, packed) == []
    assert packed_lies(recorded | {"times_smaller": 12.0}, packed) == ["it says times smaller 12, but it is 2.5"]
    source.write_bytes(b"y")
    assert packed_lies(recorded | {"times_smaller": 12.0}, packed) == []
    assert not_checked(recorded | {"times_smaller": 12.0}, {}, packed)[1] == "times_smaller 12"


def test_what_a_file_cannot_tell_is_named():
    recorded = {"float_layers": ["stem"], "float_latency_ratio": 1.25, "runtimes": {"file": {"version": "9"}}}
    fresh = {"layers": {"not_checked_because_of": ["softmax"]}, "runtimes": {"file": {"version": "1"}}}
    found = not_checked(recorded, fresh, None)
    assert found == ["runtimes.file.version 9", "float_latency_ratio 1.25", "float_layers stem"]
