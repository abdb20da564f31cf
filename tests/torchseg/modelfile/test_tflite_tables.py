"""What a TFLite file says beside its main graph, which no run of that graph shows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tf_bridge.tflite.export import export_tflite
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel
from torchseg.modelfile.tflite_tables import table_problems
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions in int8."""
    path = tmp_path_factory.mktemp("honest") / "net.int8.tflite"
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)).eval()
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    export_tflite(network, SPEC, path, precision=Precision.INT8, calibration=images)
    return path


def test_an_honest_file_contradicts_itself_nowhere(honest: Path):
    assert table_problems(honest) == []


def other_output(model: TfliteModel) -> None:
    """A program that runs the file by its signature gets what the first operator computes."""
    model.tables.signatureDefs[0].outputs[0].tensorIndex = int(model.graph.operators[0].outputs[0])


def renamed_input(model: TfliteModel) -> None:
    model.tables.signatureDefs[0].inputs[0].name = b"photo"


def second_signature(model: TfliteModel) -> None:
    other = copy.deepcopy(model.tables.signatureDefs[0])
    other.signatureKey = b"quick"
    other.outputs[0].tensorIndex = int(model.graph.operators[0].outputs[0])
    model.tables.signatureDefs.append(other)


def other_graph(model: TfliteModel) -> None:
    model.tables.subgraphs.append(copy.deepcopy(model.graph))
    model.tables.signatureDefs[0].subgraphIndex = 1


def repeated_entry(model: TfliteModel) -> None:
    entry = copy.deepcopy(next(each for each in model.tables.metadata if each.name == b"torchseg.mean"))
    entry.buffer = model.add_buffer(np.frombuffer(b"[0.0, 0.0, 0.0]", np.uint8))
    model.tables.metadata.insert(0, entry)


def other_axis(model: TfliteModel) -> None:
    convolution = next(each for each in model.graph.operators if model.kind(each) == "CONV_2D")
    model.graph.tensors[convolution.inputs[1]].quantization.quantizedDimension = 3


CHANGES: dict[str, tuple[Callable[[TfliteModel], None], str]] = {
    "another output": (other_output, "signature `serving_default` of the file has the outputs `"),
    "another name": (renamed_input, "of the file has the inputs `photo` ("),
    "a second signature": (second_signature, "signature `quick` of the file has the outputs `"),
    "another graph": (other_graph, "signature `serving_default` of the file runs another graph than the main one"),
    "an entry twice": (repeated_entry, "the file has 2 metadata entries `torchseg.mean`"),
    "scales of another axis": (other_axis, "are said to be those of axis 3; the output channels are axis 0"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_contradicts_the_graph_is_found(change: str, honest: Path, tmp_path: Path):
    how, message = CHANGES[change]
    model = TfliteModel(honest.read_bytes())
    how(model)
    (tmp_path / "net.tflite").write_bytes(model.content())
    said = table_problems(tmp_path / "net.tflite")
    assert any(message in each for each in said), said
