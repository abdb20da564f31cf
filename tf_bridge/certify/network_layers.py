"""What every layer of a traced network computes, and what it should compute from the values in a file."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.layer_names import layer_names, layer_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import Node

Values = dict[str, NDArray[np.float32]]
IMAGE = "image"  # name of the network's input, here and in every exported file

_CONVOLUTION = ("aten.conv2d", "aten.convolution", "aten.conv_transpose2d")
_LINEAR = ("aten.linear",)
_TRANSPOSED = "aten.conv_transpose2d"
_DILATION, _CEIL_MODE = 7, 4  # index of an argument of aten.conv_transpose2d, of aten.avg_pool2d
_BIAS = 2  # index of the bias among the arguments of a convolution or matrix product
_KEPT = tuple(
    f"aten.{name}."
    for name in (
        *("conv2d", "cat", "max_pool2d", "avg_pool2d", "mean", "relu", "relu_", "leaky_relu", "hardtanh", "hardtanh_"),
        *("sigmoid", "upsample_bilinear2d", "upsample_nearest2d", "pad", "constant_pad_nd", "clone", "detach", "alias"),
        *("_native_batch_norm_legit_no_training", "dropout", "feature_dropout"),
    )
)
_NORM = "aten._native_batch_norm_legit_no_training"


@dataclass(frozen=True, kw_only=True)
class ReferenceLayers:
    """Intermediate values of a network in the order of computation; rank-4 values are `(B, C, H, W)`."""

    values: Mapping[str, NDArray[np.float32]]  # keyed by name, see `layer_names`
    sources: Mapping[str, tuple[str, ...]]  # name -> names of the values that it is computed from
    output: str  # name of the logits; empty if no operator of a layer computes them, but e.g. a branch


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """The weights and bias of a convolution or linear layer as a file should hold them: batch norm is folded in.

    Attributes:
        layer: path of the PyTorch layer, e.g. `decode.2.0`.
        parameter: name of the parameter, e.g. `decode.2.0.weight`.
        values: `(C_out, C_in / groups, ...)`, float32, also for a transposed convolution.
        plain: the same without batch norm, for a file that does not fold it, as where two layers share the weights.
        bias: `(C_out,)`, float64; zeros for a layer without one.
        plain_bias: the same without batch norm.
        bias_reach: the sum of the magnitudes of what the bias is added up from, `(C_out,)`: rounding of float32 grows
            with it.
        factor: `(C_out,)`, float64, that batch norm multiplies the results of the layer with; ones without one.
        axis: of the output channels in the parameter, which is 1 for a transposed convolution.
    """

    layer: str
    parameter: str
    values: NDArray[np.float32]
    plain: NDArray[np.float32]
    bias: NDArray[np.float64]
    plain_bias: NDArray[np.float64]
    bias_reach: NDArray[np.float64]
    factor: NDArray[np.float64]
    axis: int = 0


class NetworkLayers:
    """A traced network that can be run layer by layer.

    Args:
        program: from `export_program`: batch 1.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.names = layer_names(program.graph)
        self._held: dict[str, Tensor] = {**program.constants, **program.state_dict}
        targets = {spec.arg.name: spec.target for spec in program.graph_signature.input_specs}
        self._parameters = {name: target for name, target in targets.items() if target is not None}
        self._image = next(name for name, target in targets.items() if target is None)

    @property
    def _nodes(self) -> list[Any]:  # the arguments of a node have no common type
        return list(self.program.graph.nodes)

    @cached_property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Name of each value -> names of the values that it is computed from."""
        names = self.names | {self._image: IMAGE}
        found: dict[str, tuple[str, ...]] = {}
        for node in self._nodes:
            if (name := self.names.get(node.name)) is not None:
                before = (names[each.name] for each in node.all_input_nodes if each.name in names)
                found[name] = found.get(name, ()) + tuple(each for each in before if each != name)
        return found

    @cached_property
    def operators(self) -> dict[str, str]:
        """Name of each value -> the operator that computes it, e.g. `aten.relu.default`."""
        found: dict[str, str] = {}
        for node in self._nodes:
            if node.name in self.names:
                found.setdefault(self.names[node.name], str(node.target))
        return found

    @cached_property
    def words(self) -> list[str]:
        """The name of every operator in the order of computation, e.g. `relu`, whether it works in place or not."""
        targets = (str(node.target) for node in self._nodes if node.op == "call_function")
        return [target.split(".")[1].rstrip("_") for target in targets if target.startswith("aten.")]

    @cached_property
    def unproven(self) -> list[str]:
        """Operators whose layers in a file cannot be told from PyTorch's: exporters merge, split or reorder them."""
        found = set()
        for node in self._nodes:
            if node.op == "call_function" and node.target is not operator.getitem and not self._is_kept(node):
                found.add(str(node.target))
        return sorted(found)

    def _is_kept(self, node: Any) -> bool:
        """Whether both formats hold this operation as one of their own, with the same weights."""
        name = str(node.target)
        if name.startswith(("aten.mul.", "aten.add.")):  # constants are folded into the weights of a neighbour
            return all(hasattr(each, "name") and each.name not in self._parameters for each in node.args)
        if name.startswith(_TRANSPOSED):
            return len(node.args) <= _DILATION or set(node.args[_DILATION]) == {1}
        if name.startswith("aten.adaptive_avg_pool2d"):
            return set(node.args[1]) == {1}
        if name.startswith("aten.avg_pool2d"):  # windows that reach over the edge are divided by their own size
            return not any(node.args[_CEIL_MODE : _CEIL_MODE + 1])
        return name.startswith(_KEPT)

    @cached_property
    def output(self) -> str:
        """Name of the logits; empty if no operator of a layer computes them, but e.g. a branch."""
        (result,) = (node for node in self._nodes if node.op == "output")
        return self.names.get(result.args[0][0].name, "")

    def parameter(self, name: str) -> NDArray[np.float32]:
        """A parameter or buffer of the network."""
        return np.asarray(self._held[name].detach().float().numpy())

    @cached_property
    def kernels(self) -> list[Kernel]:
        """The weights of every convolution and linear layer, in the order of computation."""
        return [self._kernel(node, weight) for node, weight in self._weighted]

    def readers(self, parameters: Collection[str]) -> frozenset[str]:
        """Names of the values that convolutions and linear layers with these parameters read."""
        names = self.names | {self._image: IMAGE}
        weighted = ((node, self._parameters[weight]) for node, weight in self._weighted)
        return frozenset(names[node.args[0].name] for node, parameter in weighted if parameter in parameters)

    @property
    def _weighted(self) -> list[tuple[Any, str]]:
        """Every convolution and matrix product with weights, and the placeholder of its weights."""
        found = []
        for node in self._nodes:
            if str(node.target).startswith(_CONVOLUTION + _LINEAR) and node.args[1].name in self._parameters:
                found.append((node, node.args[1].name))
        return found

    def _kernel(self, node: Any, weight: str) -> Kernel:
        parameter = self._parameters[weight]
        values = self._held[parameter].detach().double().numpy()
        transposed = str(node.target).startswith(_TRANSPOSED)
        if transposed:
            groups = int(node.args[6]) if len(node.args) > 6 else 1
            parts = [part.swapaxes(0, 1) for part in np.split(values, groups)]  # (C_out / groups, C_in / groups, ...)
            values = np.concatenate(parts)
        zeros = np.zeros(len(values))
        bias = self._vector(node.args[_BIAS] if len(node.args) > _BIAS else None, zeros)
        factor, mean, summand = self._norm(node) or (zeros + 1, zeros, zeros)
        return Kernel(
            layer=layer_of(node),
            parameter=parameter,
            values=(values * factor.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32),
            plain=values.astype(np.float32),
            bias=(bias - mean) * factor + summand,
            plain_bias=bias,
            bias_reach=(np.abs(bias) + np.abs(mean)) * np.abs(factor) + np.abs(summand),
            factor=factor,
            axis=int(transposed),
        )

    def _norm(self, node: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
        """Factor, mean and summand, `(C,)`, of the batch norm that is the only reader of a convolution, if it is."""
        readers = list(node.users)
        if len(readers) != 1 or not str(readers[0].target).startswith(_NORM):
            return None
        _, gamma, beta, mean, variance, _, epsilon = readers[0].args
        spread = self._vector(variance, np.empty(0))
        factor = self._vector(gamma, np.ones(len(spread))) / np.sqrt(spread + epsilon)
        return factor, self._vector(mean, np.empty(0)), self._vector(beta, np.zeros(len(spread)))

    def _vector(self, argument: Any, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """A parameter of one value per channel, `(C,)`, or other values in place of None."""
        if argument is None:
            return otherwise
        return np.asarray(self._held[self._parameters[argument.name]].detach().double().numpy())

    def run(
        self,
        image: NDArray[np.float32],
        visit: Callable[[str, NDArray[np.float32]], NDArray[np.float32] | None],
        *,
        weights: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Runs the network on one image and shows every value to `visit`, in the order of computation.

        Args:
            image: float32 `(1, C, H, W)`.
            visit: takes the name of a value and the value; what it returns, if anything, takes the value's place.
                The image comes first, under the name `image`.
            weights: values for parameters, by name, in place of the network's own.
        """
        import torch

        names = self.names | {self._image: IMAGE}
        other = weights or {}

        class Runner(torch.fx.Interpreter):
            """Shows the result of every node."""

            def run_node(self, node: Node) -> Any:
                value = super().run_node(node)
                if node.name in names and isinstance(value, torch.Tensor) and value.is_floating_point():
                    changed = visit(names[node.name], value.numpy())
                    return value if changed is None else torch.from_numpy(np.ascontiguousarray(changed))
                return value

        def argument(target: str | None) -> Tensor:
            if target is None:
                return torch.from_numpy(image)
            return torch.from_numpy(other[target]) if target in other else self._held[target]

        with torch.no_grad():
            specs = self.program.graph_signature.input_specs
            Runner(self.program.graph_module).run(*(argument(spec.target) for spec in specs))

    def layers(self, image: NDArray[np.float32]) -> ReferenceLayers:
        """All intermediate values for one image, float32 `(1, C, H, W)`."""
        kept: Values = {}

        def keep(name: str, value: NDArray[np.float32]) -> None:
            if name != IMAGE:
                kept[name] = value.copy()

        self.run(image, keep)
        return ReferenceLayers(values=kept, sources=self.sources, output=self.output)

    def ranges(self, images: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every layer over these images, `(B, C, H, W)`, extended to contain zero."""
        found: dict[str, tuple[float, float]] = {}

        def widen(name: str, value: NDArray[np.float32]) -> None:
            low, high = found.get(name, (0.0, 0.0))
            found[name] = min(low, float(value.min())), max(high, float(value.max()))

        for image in images:
            self.run(image[None], widen)
        return found


def reference_layers(program: ExportedProgram, image: NDArray[np.float32]) -> ReferenceLayers:
    """Runs a traced network on one image, float32 `(1, C, H, W)`, and records all intermediate values."""
    return NetworkLayers(program).layers(image)
