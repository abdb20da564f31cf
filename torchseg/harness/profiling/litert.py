"""Operator profiles for LiteRT: its Python interpreter has no profiler, so each operator is timed as its own file."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.runtimes.litert import LitertRuntime
from torchseg.modelfile.tflite import TfliteModel, open_tflite, pack
from torchseg.modelfile.weights import TfliteOperator, tflite_operators

_WARMUP = 2


def profile_litert(path: Path, *, threads: int, repeats: int) -> Profile:
    """Times each operator on its own, with XNNPACK, as in the whole file.

    Operators whose inputs are all constants (such as weights expanded at load) are not listed: they go into the file of
    the operator that uses their result. An operator that cannot run alone gets 0 ms and a note.
    """
    runtime = LitertRuntime(threads=threads)
    runtime.load(path)
    fallen = list(runtime.describe().leftovers)
    file = open_tflite(path)
    operators = tflite_operators(path)
    constant = _constants(file, operators)
    layers = []
    for number, operator in enumerate(operators):
        if all(index in constant for index in operator.inputs):
            continue
        sides = "x".join(map(str, operator.output_shapes[0]))
        left = operator.kind in fallen
        if left:
            fallen.remove(operator.kind)
        taken = _time_alone(_cut(file, number, constant), threads, repeats)
        notes = [sides, *(["not in XNNPACK"] if left else []), *(["cannot run alone"] if taken is None else [])]
        layers.append(
            LayerCost(name=operator.name, kind=operator.kind, milliseconds=taken or 0.0, note=", ".join(notes))
        )
    left_over = len(runtime.describe().leftovers)
    return Profile(
        layers=layers,
        method="every operator timed alone, because LiteRT's Python interpreter has no profiler",
        fast=1 - left_over / len(layers) if layers else None,
    )


def _constants(file: TfliteModel, operators: Sequence[TfliteOperator]) -> dict[int, int | None]:
    """Constant tensors: tensor index to the index of the operator that computes it, or None if its value is stored."""
    found: dict[int, int | None] = {-1: None}
    for index, tensor in enumerate(file.graph.tensors):
        if file.data(tensor) is not None:
            found[index] = None
    for number, operator in enumerate(operators):  # in execution order
        if all(index in found for index in operator.inputs):
            found |= dict.fromkeys(operator.outputs, number)
    return found


def _cut(file: TfliteModel, number: int, constant: dict[int, int | None]) -> bytes:
    """A .tflite file that holds one operator and the operators that compute its constants."""
    graph = file.graph
    wanted, waiting = [number], [number]
    while waiting:
        inputs = graph.operators[waiting.pop()].inputs
        makers = [constant[int(index)] for index in inputs if int(index) in constant]
        new = [maker for maker in makers if maker is not None and maker not in wanted]
        wanted, waiting = [*wanted, *new], [*waiting, *new]
    used = sorted({int(i) for at in wanted for o in [graph.operators[at]] for i in (*o.inputs, *o.outputs) if i >= 0})
    place = {old: new for new, old in enumerate(used)} | {-1: -1}

    part = copy.copy(graph)
    part.tensors = [copy.copy(graph.tensors[old]) for old in used]
    buffers = [file.schema.BufferT()]  # the first one is empty by convention
    for tensor in part.tensors:
        stored, held = file.tables.buffers[tensor.buffer], file.data(tensor) is not None
        tensor.buffer = len(buffers) if held else 0
        buffers += [stored] if held else []
    part.operators = [copy.copy(graph.operators[at]) for at in sorted(wanted)]
    for operator in part.operators:
        operator.inputs = np.array([place[int(index)] for index in operator.inputs], np.int32)
        operator.outputs = np.array([place[int(index)] for index in operator.outputs], np.int32)
    main = graph.operators[number]
    open_inputs = dict.fromkeys(int(index) for index in main.inputs if int(index) not in constant)
    part.inputs = np.array([place[index] for index in open_inputs], np.int32)
    part.outputs = np.array([place[int(index)] for index in main.outputs], np.int32)

    whole = copy.copy(file.tables)
    whole.subgraphs, whole.buffers = [part], buffers
    whole.metadata, whole.metadataBuffer, whole.signatureDefs = None, None, None
    return pack(whole)


def _time_alone(content: bytes, threads: int, repeats: int) -> float | None:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        random = np.random.default_rng(0)
        for details in interpreter.get_input_details():
            values = random.random(details["shape"]) * (1 if np.issubdtype(details["dtype"], np.floating) else 100)
            interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
        taken = []
        for _ in range(_WARMUP + repeats):
            begin = time.perf_counter()
            interpreter.invoke()
            taken.append((time.perf_counter() - begin) * 1e3)
    except (ValueError, RuntimeError):
        return None
    return median(taken[_WARMUP:])
