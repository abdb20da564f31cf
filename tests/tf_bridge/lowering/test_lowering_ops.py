"""Every operator in PyTorch, TFLite and ONNX, at several shapes. A new one joins by a line in `operator_cases.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from tests.tf_bridge.lowering.operator_cases import CHANNELS, OPERATORS
from tests.tf_bridge.lowering.rearranging_cases import REARRANGING
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import lower_program
from tf_bridge.quiet import quiet
from tf_bridge.tflite.convert import convert_tflite, trace_lowered
from tf_bridge.tracing import trace

pytestmark = [pytest.mark.tflite, pytest.mark.slow]

SHAPES = [(8, 12), (7, 9)]
TABLES = {"plain": OPERATORS, "rearranging": REARRANGING}
ALL = OPERATORS | REARRANGING

# Exact, but not in XNNPACK: the interpreter's own kernels run these.
OUTSIDE_XNNPACK = {"LOG_SOFTMAX", "PADV2", "POW", "STRIDED_SLICE"}


def build(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ALL[name]()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d) and layer.running_mean is not None:
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 1.5)
                if layer.affine:
                    nn.init.uniform_(layer.weight, -1.0, 1.0)
                    nn.init.uniform_(layer.bias, -0.5, 0.5)
        return network.eval()


def picture(height: int, width: int) -> Tensor:
    return torch.randn(1, CHANNELS, height, width, generator=torch.Generator().manual_seed(2)) * 2


def nhwc(tensor: Tensor) -> np.ndarray:
    return tensor.permute(0, 2, 3, 1).contiguous().numpy()


class Everything(nn.Module):
    """The networks of a table side by side: one trace and one conversion, instead of one for each."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.networks = nn.ModuleList(build(name) for name in TABLES[table])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(network(image) for network in self.networks)


Results = dict[str, np.ndarray]


@dataclass(frozen=True)
class Traced:
    """A table of networks at one size of image, and what they compute."""

    table: str
    image: Tensor
    program: ExportedProgram
    expected: Results


@pytest.fixture(scope="module")
def traced() -> Callable[[str, tuple[int, int]], Traced]:
    @functools.cache
    def make(table: str, size: tuple[int, int]) -> Traced:
        network, image = Everything(table).eval(), picture(*size)
        with torch.no_grad():
            expected = dict(zip(TABLES[table], (output.numpy() for output in network(image)), strict=True))
        return Traced(table, image, trace(network, image), expected)

    return make


@pytest.fixture(scope="module")
def tflite_file(traced, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[int, int]], Path]:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()

    @functools.cache
    def make(table: str, size: tuple[int, int]) -> Path:
        path = tmp_path_factory.mktemp("operators") / f"{table}.tflite"
        lowered = lower_program(traced(table, size).program, tf)
        path.write_bytes(convert_tflite(trace_lowered(tf, lowered, (1, *size, CHANNELS))))
        return path

    return make


@pytest.fixture(scope="module")
def in_tflite(traced, tflite_file) -> Callable[[str, tuple[int, int]], Results]:
    from ai_edge_litert.interpreter import Interpreter

    @functools.cache
    def run(table: str, size: tuple[int, int]) -> Results:
        interpreter = Interpreter(str(tflite_file(table, size)), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], nhwc(traced(table, size).image))
        interpreter.invoke()
        outputs = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
        return {name: each.transpose(0, 3, 1, 2) for name, each in zip(TABLES[table], outputs, strict=True)}

    return run


@pytest.fixture(scope="module")
def in_onnx() -> Results:
    import onnxruntime

    everything, image = Everything("plain").eval(), picture(*SHAPES[-1])
    with quiet():
        program = torch.onnx.export(trace(everything, image), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    outputs = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    return dict(zip(OPERATORS, outputs, strict=True))


@pytest.mark.parametrize("size", SHAPES, ids=["even", "odd"])
@pytest.mark.parametrize(("table", "name"), [(table, name) for table, names in TABLES.items() for name in names])
def test_tflite_computes_what_pytorch_computes(table, name, size, traced, in_tflite) -> None:
    expected = traced(table, size).expected[name]
    np.testing.assert_allclose(in_tflite(table, size)[name], expected, rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_onnx_computes_what_pytorch_computes(name: str, traced, in_onnx: Results) -> None:
    np.testing.assert_allclose(in_onnx[name], traced("plain", SHAPES[-1]).expected[name], rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("size", SHAPES, ids=["even", "odd"])
def test_no_plain_operator_needs_a_change_of_layout(size, tflite_file, operators_of) -> None:
    operators, left_over = operators_of(tflite_file("plain", size))
    assert "TRANSPOSE" not in operators
    assert set(left_over) <= OUTSIDE_XNNPACK
