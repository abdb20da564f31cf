"""Checks what a TFLite file says in its tables that running its main graph does not show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchseg.modelfile.tflite import TfliteModel, open_tflite
from torchseg.modelfile.weights import TFLITE_KERNEL


def table_problems(path: Path) -> list[str]:
    """The entries of a `.tflite` file that contradict its main graph, one sentence each.

    Those are signatures that read or return other tensors, by which many programs run a file; metadata entries with the
    same name, of which one program reads the first and another the last; and scales of another axis of the weights than
    that of the output channels, which is what runtimes take them for.
    """
    model = open_tflite(path)
    return [*_signatures(model), *_repeated_metadata(model), *_scales(model)]


def _signatures(model: TfliteModel) -> Iterator[str]:
    own = {kind: _names(model, getattr(model.graph, kind)) for kind in ("inputs", "outputs")}
    for signature in model.tables.signatureDefs or []:
        title = f"signature `{_text(signature.signatureKey)}`"
        if signature.subgraphIndex != 0:
            yield f"{title} of the file runs another graph than the main one"
            continue
        for kind, tensors in own.items():
            said = {_text(each.name): int(each.tensorIndex) for each in getattr(signature, kind)}
            if said != tensors:
                yield f"{title} of the file has the {kind} {_shown(model, said)}; those of its graph are " + ", ".join(
                    f"`{name}`" for name in tensors
                )


def _names(model: TfliteModel, indices: Any) -> dict[str, int]:
    return {_text(model.graph.tensors[int(index)].name): int(index) for index in indices}


def _shown(model: TfliteModel, said: dict[str, int]) -> str:
    tensors = model.graph.tensors
    found = {name: _text(tensors[at].name) if 0 <= at < len(tensors) else "no tensor" for name, at in said.items()}
    return ", ".join(f"`{name}`" if name == tensor else f"`{name}` ({tensor})" for name, tensor in found.items())


def _repeated_metadata(model: TfliteModel) -> Iterator[str]:
    names = [_text(each.name) for each in model.tables.metadata or []]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"the file has {names.count(name)} metadata entries `{name}`, of which programs read different ones"


def _scales(model: TfliteModel) -> Iterator[str]:
    for operation in model.graph.operators:
        if (kernel := TFLITE_KERNEL.get(model.kind(operation))) is None:
            continue
        at, axis = kernel
        tensor = model.graph.tensors[int(operation.inputs[at])]
        codes = tensor.quantization
        if codes is not None and codes.scale is not None and len(codes.scale) > 1 and codes.quantizedDimension != axis:
            yield (
                f"the scales of `{_text(tensor.name)}` are said to be those of axis {codes.quantizedDimension}; "
                f"the output channels are axis {axis}"
            )


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""
