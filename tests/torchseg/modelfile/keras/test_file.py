"""What a Keras file says of itself is read without Keras, from any tool's file."""

import json
import zipfile

import pytest

from torchseg.modelfile.keras.file import is_whole, pytorch_name, read_keras
from torchseg.modelfile.model_file import ModelFile

IMAGE = {
    "module": "keras.layers",
    "class_name": "InputLayer",
    "config": {"name": "picture", "batch_shape": [None, 32, 48, 3], "dtype": "float32"},
}
HEAD = {"module": "keras.layers", "class_name": "Conv2D", "config": {"name": "head", "filters": 2}}


@pytest.fixture
def written(tmp_path):
    def write(kind="Functional", weights=b"numbers", **config):
        whole = {"module": "keras", "class_name": kind, "config": {"layers": [IMAGE, HEAD], **config}}
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(whole))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
            if weights is not None:
                archive.writestr("model.weights.h5", weights)
        return tmp_path / "net.keras"

    return write


@pytest.mark.parametrize("outputs", [["head", 0, 0], [["head", 0, 0]]])
def test_a_file_of_another_tool_says_what_it_takes(outputs, written):
    contents = read_keras(written(output_layers=outputs))
    assert [(each.name, each.shape, each.dtype) for each in contents.inputs] == [
        ("picture", (None, 32, 48, 3), "float32")
    ]
    assert [(each.name, each.shape) for each in contents.outputs] == [("head", ())]
    assert contents.metadata == {}


def test_the_last_layer_of_a_sequential_model_is_its_output(written):
    assert [each.name for each in read_keras(written("Sequential")).outputs] == ["head"]


def test_the_size_of_the_images_is_known_before_anything_is_opened(written):
    file = ModelFile(written("Sequential"))
    assert (file.kind, file.image_size, file.layout, file.spec) == ("keras", (32, 48), "NHWC", None)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_file_with_two_parts_of_one_name_is_refused(name, written):
    """Keras reads the last of them; another program may read the first."""
    path = written()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match=rf"net\.keras is not a complete Keras file \({name} is in it 2 times"):
        read_keras(path)


@pytest.mark.parametrize("weights", [None, b""])
def test_a_file_without_weights_is_refused(weights, written):
    with pytest.raises(ValueError, match=r"net\.keras is not a complete Keras file .*; export it again"):
        ModelFile(written(weights=weights)).check()


def test_changed_bytes_are_noticed_before_keras_reads_them(written):
    path = written(weights=b"numbers of a layer")
    path.write_bytes(path.read_bytes().replace(b"numbers of a", b"numbers of b"))
    with pytest.raises(ValueError, match="not a complete Keras file"):
        read_keras(path)


def test_a_file_that_runs_code_is_refused(written):
    with pytest.raises(ValueError, match="has the layer Lambda, which runs other code"):
        ModelFile(written(layers=[IMAGE, {"class_name": "Lambda", "config": {}}])).check()


@pytest.mark.parametrize(
    ("layer", "name", "whole"),
    [
        ("decode.2.0.conv2d", "decode.2.0/conv2d", True),
        ("decode.2.0.mean__pooled", "decode.2.0/mean", False),
        ("logits", "logits", True),
    ],
)
def test_layers_are_found_again_in_the_network(layer, name, whole):
    assert (pytorch_name(layer), is_whole(layer)) == (name, whole)
