from __future__ import annotations

import numpy as np
import pytest

from torchseg.modelfile.output import OutputReader
from torchseg.modelfile.run_options import RunOptions

SIZE = (4, 6)
SCORES = np.random.default_rng(0).normal(size=(2, 3, *SIZE)).astype(np.float32)  # (B, K, H, W)
CLASSES = SCORES.argmax(axis=1)  # (B, H, W)


def read(*outputs, names=None, classes=3, layout="NCHW", batch=2, **options):
    names = names or [f"out{index}" for index in range(len(outputs))]
    reader = OutputReader(names, layout=layout, options=RunOptions(**options))
    return reader.read(outputs, batch=batch, size=SIZE, classes=classes), reader.note


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    "output",
    [
        SCORES,
        SCORES.transpose(0, 2, 3, 1),
        SCORES.transpose(0, 2, 3, 1).reshape(2, 24, 3),
        SCORES.reshape(2, 3, 24),
        SCORES.astype(np.float64),
    ],
    ids=["channels first", "channels last", "pixels in a row", "pixels in a row, channels first", "double"],
)
def test_scores_are_found_on_whichever_axis_has_the_classes(output, layout):
    scores, note = read(output, layout=layout)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, SCORES)
    assert note == ""


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 1, 4, 6), (2, 4, 6, 1)])
def test_one_whole_number_per_pixel_is_its_class(shape, number):
    scores, _ = read(CLASSES.reshape(shape).astype(number))
    assert scores.shape == (2, 3, 4, 6)
    np.testing.assert_array_equal(scores.argmax(axis=1), CLASSES)
    np.testing.assert_array_equal(scores.sum(axis=1), 1)


@pytest.mark.parametrize("output", [CLASSES[0], CLASSES[0].astype(np.uint8), SCORES[0], SCORES[0].transpose(1, 2, 0)])
def test_a_file_of_one_image_may_leave_out_the_batch(output):
    scores, _ = read(output, batch=1)
    np.testing.assert_array_equal(scores.argmax(axis=1), CLASSES[:1])


@pytest.mark.parametrize(("values", "number"), [((0, 1), np.bool_), ((0, 1), np.int64), ((0, 255), np.uint8)])
def test_a_binary_mask_is_two_classes(values, number):
    truth = CLASSES > 0
    scores, _ = read(np.where(truth, values[1], values[0]).astype(number)[:, None], classes=2)
    np.testing.assert_array_equal(scores.argmax(axis=1), truth)


def test_one_float_per_pixel_stays_one_channel_for_two_classes():
    scores, _ = read(SCORES[:, :1], classes=2)
    np.testing.assert_array_equal(scores, SCORES[:, :1])


@pytest.mark.parametrize("value", [0.5, -1, np.nan])
def test_numbers_that_are_no_classes_are_not_taken_for_them(value):
    with pytest.raises(ValueError, match="one number per pixel that is not a class; export scores of all classes"):
        read(np.full((2, 1, 4, 6), value, np.float32))


def test_a_class_beyond_those_of_the_data_is_named():
    with pytest.raises(ValueError, match="gives the class 7 and 3 classes are expected, 0 to 2"):
        read(np.full((2, 1, 4, 6), 7))


def test_another_number_of_classes_is_named():
    with pytest.raises(ValueError, match=r"gives 21 classes and 3 are expected \(its output has shape \[2, 21, 4, 6\]"):
        read(np.zeros((2, 21, 4, 6), np.float32))


@pytest.mark.parametrize("shape", [(), (2,), (2, 1000), (2, 3, 4, 5, 6)])
def test_an_output_that_is_no_map_of_classes_is_refused(shape):
    with pytest.raises(ValueError, match="expected scores of 3 classes, or the class, of every pixel"):
        read(np.zeros(shape, np.float32))


@pytest.mark.parametrize("names", [["aux", "out"], ["out", "aux"]])
def test_of_two_outputs_the_main_one_is_read_and_the_other_named(names):
    outputs = {"out": SCORES, "aux": -SCORES}
    scores, note = read(*(outputs[name] for name in names), names=names)
    np.testing.assert_array_equal(scores, SCORES)
    assert note == "output 'out' was read; --output takes another of them: aux"


def test_an_output_that_cannot_hold_the_classes_is_no_choice():
    scores, note = read(np.zeros((2, 128), np.float32), SCORES)
    np.testing.assert_array_equal(scores, SCORES)
    assert note == ""


def test_scores_are_read_rather_than_classes():
    scores, _ = read(CLASSES, SCORES)
    np.testing.assert_array_equal(scores, SCORES)


def test_a_named_output_is_read():
    scores, note = read(SCORES, -SCORES, names=["a", "b"], output="b")
    np.testing.assert_array_equal(scores, -SCORES)
    assert note == ""
    with pytest.raises(ValueError, match="has no output 'c'; it has a, b"):
        read(SCORES, SCORES, names=["a", "b"], output="c")


def test_the_choice_stays_what_it_was_for_the_first_images():
    reader = OutputReader(["a", "b"], layout="NCHW", options=RunOptions())
    reader.read([np.zeros((2, 9), np.float32), SCORES], batch=2, size=SIZE, classes=3)
    with pytest.raises(ValueError, match="the output has shape"):
        reader.read([SCORES, np.zeros((2, 9), np.float32)], batch=2, size=SIZE, classes=3)


def test_a_smaller_map_is_read_at_its_size():
    scores, _ = read(SCORES[:, :, ::2, ::2])
    assert scores.shape == (2, 3, 2, 3)


def test_without_a_number_of_classes_the_layout_decides_and_classes_are_counted():
    square = np.zeros((2, 4, 4, 4), np.float32)
    reader = OutputReader(["out"], layout="NHWC", options=RunOptions())
    square[..., 1] = 1
    scores = reader.read([square], batch=2, size=(4, 4), classes=None)
    assert (scores.argmax(axis=1) == 1).all()
    assert read(CLASSES, classes=None)[0].shape == (2, 3, 4, 6)


@pytest.mark.parametrize("names", [["confidence", "classes"], ["classes", "confidence"]])
def test_whole_numbers_are_read_rather_than_a_confidence(names):
    outputs = {"classes": CLASSES, "confidence": np.full(CLASSES.shape, 0.7, np.float32)}
    scores, note = read(*(outputs[name] for name in names), names=names)
    np.testing.assert_array_equal(scores.argmax(1), CLASSES.reshape(scores.argmax(1).shape))
    assert note == "output 'classes' was read; --output takes another of them: confidence"


def test_a_mask_that_the_file_has_painted_is_refused():
    painted = np.array([[0, 0, 0], [192, 128, 128], [0, 64, 128]], np.uint8)[np.arange(48).reshape(2, 4, 6) % 3]
    with pytest.raises(ValueError, match="shows 3 colours, as a painted mask does, and no scores; export the classes"):
        read(painted, layout="NHWC")
    assert read(painted, layout="NHWC", kind="logit")[0].shape == (2, 3, 4, 6)
    for scores in (painted.clip(0, 1), np.array([[1, 4, 250], [30, 200, 25]], np.uint8)[painted[..., 0] // 192]):
        assert read(scores, layout="NHWC")[0].shape == (2, 3, 4, 6)


def test_values_up_to_255_after_the_classes_0_and_1_are_a_fault():
    reader = OutputReader(["output"], layout="NCHW", options=RunOptions())
    first, later = (np.full((1, 1, 4, 6), value, np.uint8) for value in (1, 255))
    reader.read([first], batch=1, size=(4, 6), classes=2)
    with pytest.raises(
        ValueError, match=r"first values were the classes 0 and 1, and now they run to 255; .*--output_k"
    ):
        reader.read([later], batch=1, size=(4, 6), classes=2)


@pytest.mark.parametrize("output", [SCORES[:, 0], SCORES[:1, 0], SCORES[0, 0]])
def test_fractions_of_an_unknown_number_of_classes_are_the_scores_of_an_object(output):
    scores, _ = read(output, classes=None, batch=len(output) if output.ndim == 3 else 1)
    np.testing.assert_array_equal(scores, SCORES[: len(scores), :1])
