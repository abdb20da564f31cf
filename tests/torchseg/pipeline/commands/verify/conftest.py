"""A run of honest files, and what changes them as somebody would who repairs every hash."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.config import DistillConfig
from torchseg.modelfile.certificate import certificate_path
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel
from torchseg.models import build_model
from torchseg.pipeline.commands.verify import Verifier
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.session import write_record

ARGUMENTS = {"base_width": 4, "depth": 1}
STAGES = ("clustered", "student")
FILES = ("fp32.onnx", "fp16.onnx", "dynamic.onnx", "int8.onnx", "int8.packed.onnx", "fp32.tflite", "fp16.tflite",
         "dynamic.tflite", "int8.tflite", "int8.end_to_end.onnx", "int8.end_to_end.tflite", "fp32.keras")  # fmt: skip


class Tamper:
    """Ways to change a model file or its certificate."""

    @staticmethod
    @contextmanager
    def recorded(path: Path) -> Iterator[dict[str, Any]]:
        """The certificate of a file, to be changed."""
        source = certificate_path(path)
        values = json.loads(source.read_text())
        yield values
        source.write_text(json.dumps(values))

    @staticmethod
    def repair(path: Path) -> None:
        """Writes the file's hash, size and interface into its certificate, as an honest export would have."""
        file = ModelFile(path)
        described = file.to_dict()
        with Tamper.recorded(path) as values:
            values |= {"sha256": file.sha256, "size_bytes": file.size_bytes}
            values |= {name: described[name] for name in ("inputs", "outputs", "layout")}

    @staticmethod
    @contextmanager
    def onnx_model(path: Path) -> Iterator[onnx.ModelProto]:
        """An ONNX file, to be changed."""
        model = onnx.load(path)
        yield model
        onnx.save(model, path)

    @staticmethod
    def change_initializer(path: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replaces a constant of an ONNX file; `name` may have wildcards."""
        with Tamper.onnx_model(path) as model:
            (tensor,) = (each for each in model.graph.initializer if fnmatch(each.name, name))
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(change(values.copy()).astype(values.dtype), tensor.name))

    @staticmethod
    @contextmanager
    def tflite_model(path: Path) -> Iterator[TfliteModel]:
        """A TFLite file, to be changed."""
        model = TfliteModel(path.read_bytes())
        yield model
        path.write_bytes(model.content())

    @staticmethod
    def change_constant(
        path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], dtype: type = np.int8
    ) -> None:
        """Replaces the values of a constant of a TFLite file; `name` is how the tensor's name begins."""
        with Tamper.tflite_model(path) as model:
            tensor = next(
                each
                for each in model.graph.tensors
                if each.name.decode().startswith(name)
                and model.data(each) is not None
                and model.type_of(each) == np.dtype(dtype).name
            )
            values = np.frombuffer(bytes(model.data(tensor)), dtype).reshape(tensor.shape)
            changed = np.ascontiguousarray(change(values.copy()).astype(dtype))
            model.tables.buffers[tensor.buffer].data = np.frombuffer(changed.tobytes(), np.uint8)

    @staticmethod
    def change_grid(path: Path, name: str, *, shift: int = 0, factor: float = 1.0) -> None:
        """Moves the zero point, or stretches the scale, of every tensor of a TFLite file that has its grid."""
        with Tamper.tflite_model(path) as model:
            computed = [
                each for each in model.graph.tensors if model.data(each) is None and each.quantization.scale is not None
            ]
            (own,) = (each for each in computed if each.name.decode() == name)
            grid = float(own.quantization.scale[0]), int(own.quantization.zeroPoint[0])
            for codes in (each.quantization for each in computed):
                if (float(codes.scale[0]), int(codes.zeroPoint[0])) == grid:
                    codes.scale[0] *= factor
                    codes.zeroPoint[0] += shift

    @staticmethod
    def change_keras(
        path: Path, layer: str, change: Callable[[np.ndarray], np.ndarray], *, part: str = "0", config: str = ""
    ) -> None:
        """Replaces a weight of a layer of a Keras file, or with `config` that entry of the layer's description."""
        import h5py

        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        described = json.loads(members["config.json"])
        (own,) = (each for each in described["config"]["layers"] if each["config"]["name"] == layer)
        if config:
            own["config"][config] = change(own["config"][config])
            members["config.json"] = json.dumps(described).encode()
        else:
            content = io.BytesIO(members["model.weights.h5"])
            with h5py.File(content, "r+") as file:
                groups: list[h5py.Group] = []
                file.visititems(lambda _, each: groups.append(each) if each.attrs.get("name") == layer else None)
                groups[0][part][...] = change(groups[0][part][...])
            members["model.weights.h5"] = content.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    @staticmethod
    def set_metadata(path: Path, name: str, text: str) -> None:
        """Changes a metadata entry of either format."""
        key = f"torchseg.{name}"
        if path.suffix == ".tflite":
            with Tamper.tflite_model(path) as model:
                model.set_metadata({key: text})
            return
        with Tamper.onnx_model(path) as model:
            kept = {each.key: each.value for each in model.metadata_props}
            onnx.helper.set_model_props(model, kept | {key: text})


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two networks that differ in their weights, and model files of both."""
    from tf_bridge.end_to_end import write_end_to_end

    run = tmp_path_factory.mktemp("honest") / "run"
    config = DistillConfig(data="scenes", image_size="32")
    run.mkdir()
    write_record(config, run)
    pictures = open_pictures(config)
    (run / "artifacts").mkdir()
    for seed, stage in enumerate(STAGES):
        network = build_model("attention_unet", ARGUMENTS, pictures.spec, seed=seed).eval()
        card = Card(builder="attention_unet", arguments=ARGUMENTS, spec=pictures.spec, stage=stage)
        save_checkpoint(network, card, run / stage)
        export = NetworkExport(run / stage, pictures)
        for ending in FILES if stage == "clustered" else ("int8.onnx", "int8.tflite"):
            path = run / f"artifacts/{stage}.{ending}"
            plain = path.with_name(f"{stage}.{ending.split('.')[0]}{path.suffix}")
            if "packed" in ending:
                export.pack(plain, path)
            elif "end_to_end" in ending:
                write_end_to_end(plain, path, pictures.spec)
                export.certify_like(path, json.loads(certificate_path(plain).read_text()))
            else:
                export.export(path, precision=Precision(ending.split(".")[0]))
    return run


@pytest.fixture(scope="session")
def verifier() -> Verifier:
    """Opens the network once for all tests."""
    return Verifier()


@pytest.fixture
def problems(honest: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable], str]:
    """What verify says of a copy of a file after a change, with every hash repaired."""
    changed = honest.parent / "run"

    def judge(name: str, change: Callable[[type[Tamper], Path], None]) -> str:
        path = changed / f"artifacts/clustered.{name}"
        kept = {each: each.read_bytes() for each in (path, certificate_path(path))}
        try:
            change(Tamper, path)
            Tamper.repair(path)
            return "; ".join(verifier.problems(path, verifier.pictures(changed, None))[0])
        finally:
            for each, content in kept.items():
                each.write_bytes(content)

    return judge


@pytest.fixture
def tamper() -> type[Tamper]:
    """Ways to change a model file or its certificate."""
    return Tamper
