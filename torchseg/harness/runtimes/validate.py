"""Rejects damaged model files before a runtime, which might crash on them, opens them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from torchseg.harness.measure.size import files_of
from torchseg.modelfile.kinds import check_readable, runtime_name


def check_model_file(path: Path) -> None:
    """Checks a model file without running it.

    Raises:
        ValueError: if it is missing, empty, of an unknown kind or truncated, or reads files outside its folder.
    """
    kind = runtime_name(path)
    check_readable(path)
    if kind == "torch":
        from torchseg.checkpoint import read_card

        read_card(path if path.is_dir() else path.parent)
    elif kind == "litert":
        _check_tflite(path)
    files_of(path)


def _check_tflite(path: Path) -> None:
    """Reads every table and buffer in Python, which raises where a runtime might read past the end of the file."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ModuleNotFoundError as error:
        raise ImportError("reading .tflite files needs ai-edge-litert: pip install 'torchseg-compress[tf]'") from error
    content = path.read_bytes()
    try:
        if content[4:8] != b"TFL3":
            raise ValueError("the header lacks TFL3")
        _walk(schema.Model.GetRootAsModel(content, 0))
    except (struct.error, ValueError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no complete TFLite file ({len(content)} bytes); export it again") from error


def _walk(model: Any) -> None:
    """Reads what a runtime would read: every operator code, tensor, operator and buffer."""
    for index in range(model.OperatorCodesLength()):
        model.OperatorCodes(index).BuiltinCode()
    for index in range(model.BuffersLength()):
        model.Buffers(index).DataAsNumpy()
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            tensor.Name(), tensor.ShapeAsNumpy(), tensor.Type(), tensor.Quantization()
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            operator.InputsAsNumpy(), operator.OutputsAsNumpy(), operator.OpcodeIndex()
    if not model.SubgraphsLength():
        raise ValueError("there is no graph")
