"""What every layer of the PyTorch network computes for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.layer_names import layer_names

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

OUTPUT = "logits"  # the name that every exported file gives the network's output


@dataclass(frozen=True, kw_only=True)
class ReferenceLayers:
    """Values inside a network, in the order in which it computes them; rank-4 values are `(B, C, H, W)`."""

    values: Mapping[str, NDArray[np.float32]]  # by name, see `layer_names`
    sources: Mapping[str, tuple[str, ...]]  # names of the values that each one is computed from
    output: str  # the name of the one that is the logits


def reference_layers(program: ExportedProgram, image: NDArray[np.float32]) -> ReferenceLayers:
    """Runs a traced network on one image `(1, C, H, W)` and keeps all it computes."""
    import torch

    names = layer_names(program.graph)
    kept: dict[str, NDArray[np.float32]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    output = ""

    class Recorder(torch.fx.Interpreter):
        """Keeps what it computes."""

        def run_node(self, node: Node) -> Any:
            nonlocal output
            value = super().run_node(node)
            if node.op == "output":
                output = names[node.args[0][0].name]  # type: ignore[index, union-attr]
            if node.name in names:
                name = names[node.name]
                before = tuple(names[each.name] for each in node.all_input_nodes if each.name in names)
                sources[name] = sources.get(name, ()) + tuple(each for each in before if each != name)
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    kept[name] = value.numpy().copy()
            return value

    with torch.no_grad():
        Recorder(program.graph_module).run(*_arguments(program, image))
    return ReferenceLayers(values=kept, sources=sources, output=output)


def _arguments(program: ExportedProgram, image: NDArray[np.float32]) -> list[Any]:
    """Weights, buffers and the image, in the order of the graph's placeholders."""
    import torch

    held = {**program.constants, **program.state_dict}
    return [
        torch.from_numpy(image) if spec.target is None else held[spec.target]
        for spec in program.graph_signature.input_specs
    ]
