"""A Keras file with a layer that runs code or opens other files is refused before Keras builds it."""

from __future__ import annotations

import json
import zipfile

import pytest

from torchseg.modelfile.keras.layers import check_keras_file


def layer(name, module="keras.layers", /, **config):
    return {"module": module, "class_name": name, "config": config}


@pytest.fixture
def keras_file(tmp_path):
    def write(*layers):
        config = layer("Sequential", "keras", layers=list(layers))
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(config))
        return tmp_path / "net.keras"

    return write


def test_layers_of_keras_are_accepted(keras_file):
    policy = layer("DTypePolicy", "keras", name="float32")
    convolution = layer("Conv2D", filters=4, dtype=policy, kernel_initializer=layer("Zeros", "keras.initializers"))
    add = {"class_name": "Add", "module": "keras.src.ops.numpy", "config": {}}
    function = {"class_name": "function", "config": "relu", "module": "builtins"}
    check_keras_file(keras_file(convolution, add, layer("Activation", activation=function), layer("ReLU", None)))


@pytest.mark.parametrize("name", ["Lambda", "TFSMLayer", "TorchModuleWrapper", "StringLookup"])
def test_layers_that_run_code_or_open_files_are_refused_wherever_they_stand(name, keras_file):
    path = keras_file(layer("TimeDistributed", layer=layer(name)))
    with pytest.raises(ValueError, match=rf"net.keras has the layer {name}, which runs other code or opens other file"):
        check_keras_file(path)


@pytest.mark.parametrize(
    "named",
    [
        layer("Net", "my_package.layers"),
        layer("system", "os"),
        layer("get_file", "keras.utils"),
        layer("Thing", "keras_other"),
        layer("Thing", "keras.src.utils.file_utils"),
        layer("Conv2D", activation={"class_name": "function", "config": "VGG16", "module": "keras.applications.vgg16"}),
    ],
)
def test_what_is_not_one_of_keras_layers_is_refused(named, keras_file):
    with pytest.raises(ValueError, match=r"net.keras has '\w+' of [\w.]+, which is not one of Keras's layers"):
        check_keras_file(keras_file(named))


def test_the_layers_of_an_hdf5_file_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": [layer("Lambda")]}})
    with pytest.raises(ValueError, match=r"net.h5 has the layer Lambda"):
        check_keras_file(tmp_path / "net.h5")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\udc80".encode("utf-8", "surrogatepass")])
def test_a_damaged_description_is_one_message(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", text)
    with pytest.raises(
        ValueError, match=r"Keras cannot open .*net.keras: it has no readable description \(.*\); save it"
    ):
        check_keras_file(tmp_path / "net.keras")


def test_a_description_that_unpacks_to_gigabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("torchseg.modelfile.keras.layers._LIMIT_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", " " * 10**6)
    with pytest.raises(ValueError, match="the description has more than 1000 bytes"):
        check_keras_file(tmp_path / "net.keras")
