"""TensorFlow is imported once for all of these; the networks are as small as they come."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tf_bridge.from_tensorflow.class_scores import LOGITS, SIGMOID, SOFTMAX
from tf_bridge.from_tensorflow.convert import from_tensorflow
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.quiet import quiet
from torchseg.modelfile.model_file import describe_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
SPEC = ImageSpec(height=8, width=12, classes=("background", "body", "rim"), mean=(0.5,) * 3, std=(0.5,) * 3)
TWO = ImageSpec(height=8, width=12, classes=("background", "body"))


@pytest.fixture(scope="module")
def tf():
    for name in ("tensorflow", "tf2onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[tf]'")
    return import_tensorflow()


@pytest.fixture(scope="module")
def network(tf):
    """One convolution, which is quick to trace; with `deep` a branch, batch norm, pooling and upsampling as well."""

    def build(*, size=(8, 12), channels=3, classes=3, activation=None, deep=False):
        layers = tf.keras.layers
        tf.keras.utils.set_random_seed(0)
        image = value = layers.Input((*size, channels))
        if deep:
            skip = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="relu")(image))
            below = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPool2D()(skip))
            value = layers.Concatenate()([skip, below])
        return tf.keras.Model(image, layers.Conv2D(classes, 3, padding="same", activation=activation)(value))

    return build


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).standard_normal((3, 3, 8, 12)).astype(np.float32)


def keras_answer(model, images):
    """What Keras itself says, `(B, K, H, W)`."""
    return np.asarray(model(images.transpose(0, 2, 3, 1), training=False)).transpose(0, 3, 1, 2)


def save(model, path):
    with quiet():
        model.save(path)
    return path


@pytest.fixture(scope="module")
def converted(network, tmp_path_factory):
    """A Keras network with a softmax, what came of it, and its ONNX file."""
    folder = tmp_path_factory.mktemp("converted")
    model, path = network(activation=SOFTMAX, deep=True), folder / "net.onnx"
    made = from_tensorflow(save(model, folder / "net.keras"), path, SPEC, notes={"source_sha256": "abc"})
    return model, made, path


def test_a_keras_file_computes_the_same_as_onnx(converted, pictures, onnx_outputs):
    model, made, path = converted
    expected = keras_answer(model, pictures)
    np.testing.assert_allclose(onnx_outputs(path, pictures), expected, atol=1e-5)
    np.testing.assert_allclose(made.predict(pictures), expected, atol=1e-5)
    assert (made.kind, made.precision, made.scores.activation) == ("keras", Precision.FP32, SOFTMAX)


def test_the_file_looks_like_the_projects_own(converted):
    path = converted[2]
    described = describe_file(path)
    assert described["inputs"] == [{"name": "image", "shape": [1, 3, 8, 12], "type": "float32"}]
    assert described["outputs"] == [{"name": "probabilities", "shape": [1, 3, 8, 12], "type": "float32"}]
    assert described["metadata"]["torchseg.mean"] == "[0.5, 0.5, 0.5]"
    assert described["metadata"]["torchseg.output"].startswith("probabilities (softmax)")
    assert described["metadata"]["torchseg.source_sha256"] == "abc"
    assert [each.version for each in onnx.load(path).opset_import if each.domain == ""] == [17]
    assert "Transpose" not in {node.op_type for node in onnx.load(path).graph.node}


def test_an_open_size_is_fixed_and_a_sequential_network_works(tf, pictures, onnx_outputs, tmp_path):
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(4, 3, padding="same"), layers.Conv2D(3, 1)]
    )
    path = tmp_path / "net.onnx"
    made = from_tensorflow(save(model, tmp_path / "net.h5"), path, SPEC, notes={})
    assert made.scores.activation == LOGITS
    np.testing.assert_allclose(onnx_outputs(path, pictures), keras_answer(model, pictures), atol=1e-5)


@pytest.mark.parametrize(("activation", "line"), [(SIGMOID, 0.5), (None, 0.0)])
def test_one_channel_becomes_two_classes(activation, line, network, pictures, onnx_outputs, tmp_path):
    model, path = network(classes=1, activation=activation), tmp_path / "net.onnx"
    made = from_tensorflow(save(model, tmp_path / "net.keras"), path, TWO, notes={})
    expected = keras_answer(model, pictures)[:, 0] > line
    answer = onnx_outputs(path, pictures)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(answer.argmax(axis=1), expected)
    np.testing.assert_allclose(answer, made.predict(pictures), atol=1e-5)
    assert "one channel became two classes" in made.scores.meaning


@pytest.mark.parametrize("shape", [(None, 8, 12, 3), (8, 12, 3)])
def test_a_saved_model_works_with_and_without_a_batch(shape, tf, pictures, onnx_outputs, tmp_path):
    kernel = tf.Variable(np.random.default_rng(1).standard_normal((3, 3, 3, 3)).astype(np.float32))
    module = tf.Module()
    module.kernel = kernel

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="photo")], autograph=False)
    def serve(photo):
        batch = photo if len(shape) == 4 else photo[None]
        answer = tf.nn.conv2d(batch, kernel, 1, "SAME")
        return {"scores": answer if len(shape) == 4 else answer[0]}

    with quiet():
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": serve})
    path = tmp_path / "net.onnx"
    made = from_tensorflow(tmp_path / "saved", path, SPEC, notes={})
    expected = tf.nn.conv2d(pictures.transpose(0, 2, 3, 1), kernel, 1, "SAME").numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(onnx_outputs(path, pictures), expected, atol=1e-4)
    np.testing.assert_allclose(made.predict(pictures), expected, atol=1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 0.02)])
def test_a_tflite_file_makes_the_round_trip(
    precision, tolerance, tf, network, pictures, onnx_outputs, tflite_outputs, tmp_path
):
    converter = tf.lite.TFLiteConverter.from_keras_model(network(activation=SOFTMAX))
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None].transpose(0, 2, 3, 1)] for image in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    source, path = tmp_path / "net.tflite", tmp_path / "net.onnx"
    with quiet():
        source.write_bytes(converter.convert())
    made = from_tensorflow(source, path, SPEC, notes={})
    assert (made.precision, made.scores.activation) == (Precision(precision), SOFTMAX)
    assert describe_file(path)["inputs"] == [{"name": "image", "shape": [1, 3, 8, 12], "type": "float32"}]
    expected, answer = tflite_outputs(source, pictures), onnx_outputs(path, pictures)
    np.testing.assert_allclose(answer, expected, atol=tolerance)
    assert (answer.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.98


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 5}, r"has 5 classes and the data has 3 \(background, body, rim\)"),
        ({"channels": 1}, "takes images of 1 channels; the images of the data have 3"),
        ({"size": (16, 16)}, "takes 16x16 images and 8x12 were asked for; give --image_size 16,16"),
    ],
)
def test_a_network_for_other_pictures_is_refused(changes, message, network, tmp_path):
    source = save(network(**changes), tmp_path / "net.keras")
    with pytest.raises(ValueError, match=message):
        from_tensorflow(source, tmp_path / "net.onnx", SPEC, notes={})
    assert not (tmp_path / "net.onnx").exists()


def test_a_smaller_answer_and_two_inputs_are_refused(tf, tmp_path):
    layers = tf.keras.layers
    one, other = layers.Input((8, 12, 3)), layers.Input((8, 12, 3))
    small = save(tf.keras.Model(one, layers.Conv2D(3, 3, strides=2)(one)), tmp_path / "small.keras")
    with pytest.raises(ValueError, match=r"gives \[1, 3, 5, 3\] for 8x12 images; expected scores of the same size"):
        from_tensorflow(small, tmp_path / "net.onnx", SPEC, notes={})
    double = save(tf.keras.Model([one, other], layers.Add()([one, other])), tmp_path / "double.keras")
    with pytest.raises(ValueError, match="takes 2 inputs; expected a network that takes one image"):
        from_tensorflow(double, tmp_path / "net.onnx", SPEC, notes={})


def test_an_operator_without_counterpart_is_named(tf, tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 12, 3), tf.float32)], autograph=False)
    def serve(photo):
        return tf.raw_ops.Igamma(a=tf.abs(photo), x=tf.abs(photo))

    with quiet():
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": serve})
    with pytest.raises(UnsupportedOperatorError, match="Igamma"):
        from_tensorflow(tmp_path / "saved", tmp_path / "net.onnx", SPEC, notes={})


def test_a_damaged_keras_file_is_one_clear_error(tf, network, tmp_path):
    whole = save(network(), tmp_path / "net.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"Keras cannot open .*cut\.h5: "):
        from_tensorflow(tmp_path / "cut.h5", tmp_path / "net.onnx", SPEC, notes={})


@pytest.fixture(scope="module")
def onnx_outputs():
    """What ONNX Runtime makes of pictures, one by one; the first output counts."""
    import onnxruntime

    def run(path: Path, images):
        session = onnxruntime.InferenceSession(path)
        return np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])

    return run


@pytest.fixture(scope="module")
def tflite_outputs():
    """What LiteRT makes of pictures, integers scaled back, `(B, K, H, W)`."""
    from ai_edge_litert.interpreter import Interpreter

    def run(path: Path, images):
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        answers = []
        for image in images:
            value = image.transpose(1, 2, 0)[None]
            if source["dtype"] == np.int8:
                scale, zero = source["quantization"]
                value = np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)
            interpreter.set_tensor(source["index"], value)
            interpreter.invoke()
            answer = interpreter.get_tensor(target["index"]).astype(np.float32)
            if target["dtype"] == np.int8:
                scale, zero = target["quantization"]
                answer = (answer - zero) * np.float32(scale)
            answers.append(answer.transpose(0, 3, 1, 2))
        return np.concatenate(answers)

    return run
