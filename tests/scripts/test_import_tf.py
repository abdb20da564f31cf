"""A TensorFlow model from its file to the table, as a user would bring it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import import_tf, score, verify
from tf_bridge.from_tensorflow import process
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.quiet import quiet
from torchseg.harness.csv_table import read_table
from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.run.image_spec import spec_of

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
RUN = Path("run")


@pytest.fixture(scope="module")
def tf():
    for name in ("tensorflow", "tf2onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install '.[tf]'")
    return import_tensorflow()


@pytest.fixture(scope="module")
def models(tf, tmp_path_factory):
    """One network with a softmax as a Keras file and, at a fixed size, as TFLite."""
    folder = tmp_path_factory.mktemp("models")
    layers = tf.keras.layers
    image = layers.Input((None, None, 3))
    network = tf.keras.Model(image, layers.Softmax()(layers.Conv2D(5, 3, padding="same")(image)))
    fixed = layers.Input((32, 32, 3))
    with quiet():
        network.save(folder / "net.keras")
        (folder / "lite.tflite").write_bytes(
            tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(fixed, network(fixed))).convert()
        )
    return folder


@pytest.fixture
def in_this_process(monkeypatch):
    """TensorFlow is here already: another import in a child would only take time."""
    monkeypatch.setattr(process, "_run_child", lambda source, folder: process._serve(folder))


@pytest.fixture
def data(pictures):
    return ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--out", str(RUN)]


def test_a_model_joins_a_run_and_is_scored_and_verified(models, data, capsys, in_this_process):
    assert import_tf.main([str(models / "lite.tflite"), *data, "--scaling", "-1-1"]) == 0
    assert "certified" in capsys.readouterr().out
    certificate = json.loads((RUN / "artifacts/lite.fp32.onnx.json").read_text())
    assert certificate["verdict"]["passed"]
    assert certificate["differences"]["argmax_agreement"] == 1.0
    assert certificate["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert certificate["output"].startswith("probabilities (softmax)")
    assert certificate["source"] == {"kind": "tflite", "name": "lite.tflite"}
    assert certificate["runtimes"]["network"]["name"] == "litert"

    assert spec_of(ModelFile(RUN / "imported/lite.fp32.tflite")) == spec_of(ModelFile(RUN / "artifacts/lite.fp32.onnx"))
    assert import_tf.main([str(models / "net.keras"), *data, "--scaling", "-1-1"]) == 0
    assert score.main([str(RUN), "--threads", "1"]) == 0
    rows = {row["artifact"]: row for row in read_table(RUN / "scores.csv")}
    assert list(rows) == ["imported/lite.fp32.tflite", "artifacts/lite.fp32.onnx", "artifacts/net.fp32.onnx"]
    assert rows["artifacts/lite.fp32.onnx"]["argmax_agreement"] == "1.0"
    assert len({row["miou"] for row in rows.values()}) == 1  # all of them saw the pictures at the same scaling
    assert [row["certified"] for row in rows.values()] == ["", "true", "true"]

    made = str(RUN / "artifacts/net.fp32.onnx")
    assert verify.main([made]) == 0
    (RUN / "imported/net.keras").write_bytes(b"another model")
    assert verify.main([made]) == 1
    assert "is not the network that it was made from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--classes", "a,b"], "--classes names 2 classes and the data has 5"),
        (["--classes", "ring,ground,striped,checked,wire"], "the same in another order; reorder the channels"),
        (["--image_size", "48"], "takes 32x32 images and 48x48 were asked for; give --image_size 32,32"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(flags, message, models, data, refusal, in_this_process):
    assert import_tf.main([str(models / "lite.tflite"), *data, *flags]) == 2
    assert message in refusal()
    assert not RUN.exists()


def test_a_run_of_something_else_is_left_alone(models, data, refusal):
    RUN.mkdir()
    (RUN / "letter.txt").write_text("dear")
    assert import_tf.main([str(models / "lite.tflite"), *data]) == 2
    assert "has files that no run of this project wrote" in refusal()
    (RUN / "config.yaml").write_text("data: scenes\nimage_size: '32'\n")
    assert import_tf.main([str(models / "lite.tflite"), *data]) == 2
    assert "was made with data scenes and folder came" in refusal()
