from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from torchseg.harness.runtimes.litert import LitertRuntime, open_sides, output_names
from torchseg.modelfile.model_file import ModelFile


def test_open_sides_are_told_from_sides_of_one_pixel():
    assert open_sides({"shape": [1, 1, 1, 3], "shape_signature": [-1, -1, -1, 3]}) == [1, None, None, 3]
    assert open_sides({"shape": [1, 1, 16, 3], "shape_signature": [1, 1, 16, 3]}) == [1, 1, 16, 3]
    assert open_sides({"shape": [1, 8, 16, 3]}) == [1, 8, 16, 3]


@pytest.mark.parametrize(
    ("signatures", "wanted", "expected"),
    [
        ({}, "", ["Call:0", "Call:1"]),
        ({"serving_default": {"outputs": {"aux": 7, "main": 9}}}, "", ["aux", "main"]),
        ({"serving_default": {"outputs": {"aux": 7}}}, "aux", ["aux", "Call:1"]),
        ({"serving_default": {"outputs": {"aux": 7, "main": 9}}}, "Call:1", ["Call:0", "Call:1"]),
        ({"a": {"outputs": {"aux": 7}}, "b": {"outputs": {"main": 9}}}, "", ["Call:0", "Call:1"]),
    ],
)
def test_outputs_have_the_names_that_their_author_gave_them(signatures, wanted, expected):
    interpreter = SimpleNamespace(
        get_output_details=lambda: [{"name": "Call:0", "index": 7}, {"name": "Call:1", "index": 9}],
        _get_full_signature_list=lambda: signatures,
    )
    assert output_names(interpreter, wanted) == expected


def test_what_litert_says_of_a_damaged_file_is_one_line(tmp_path, monkeypatch):
    def refuse(**options):
        raise RuntimeError("elements overflowed.\nTensor 13 is invalid.")

    path = tmp_path / "net.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")
    runtime = LitertRuntime(threads=1)
    monkeypatch.setattr(runtime, "_library", SimpleNamespace(Interpreter=refuse))
    with pytest.raises(ValueError, match=r"can open: elements overflowed\.; Tensor 13 is invalid\.$"):
        runtime.load(path)


@pytest.mark.tflite
@pytest.mark.slow
def test_a_file_of_any_size_takes_images_of_several_sizes(tmp_path):
    import tensorflow as tf

    def double(image):
        return {"scores": 2.0 * image}

    signature = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    function = tf.function(double, autograph=False).get_concrete_function(signature)
    path = tmp_path / "any.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())
    assert (ModelFile(path).image_size, ModelFile(path).image.channels) == (None, 3)
    runtime = LitertRuntime(threads=1)
    runtime.load(path)
    for count, height, width in ((1, 4, 6), (2, 4, 6), (2, 8, 5)):
        images = np.random.default_rng(0).normal(size=(count, 3, height, width)).astype(np.float32)
        np.testing.assert_array_equal(runtime.predict(images), 2 * images)
