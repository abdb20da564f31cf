"""Folds batch norms into the transposed convolutions before them, which TFLite's converter does not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

_TRANSPOSED, _NORM = "aten.conv_transpose2d.input", "aten._native_batch_norm_legit_no_training.default"
_GROUPS = 6  # index of an argument of aten.conv_transpose2d


def fold_transposed_norms(program: ExportedProgram) -> ExportedProgram:
    """Multiplies the weights of transposed convolutions by the factors of the batch norm that alone reads them.

    In an int8 file, the factor and the shift are otherwise operations of their own, whose constants are rounded with
    one step for all channels. The bias of a folded convolution takes the place of the running mean of the norm.

    Args:
        program: of a network in eval mode; its graph and its weights are modified, not those of the network.

    Returns:
        `program`.
    """
    held = program.state_dict
    targets = {spec.arg.name: spec.target for spec in program.graph_signature.input_specs}
    uses = Counter(each.name for node in program.graph.nodes for each in node.all_input_nodes)
    for node in list(program.graph.nodes):
        if str(node.target) != _NORM or str(getattr(node.args[0], "target", "")) != _TRANSPOSED:
            continue
        convolution, *norm = node.args[:5]
        constants = [*convolution.args[1:3], *[None][len(convolution.args) - 2 :], *norm]
        read = [each for each in (convolution, *constants) if each is not None]
        if any(uses[each.name] > 1 for each in read) or any(targets.get(each.name) not in held for each in read[1:]):
            continue
        if all(result.args[1] == 0 for result in node.users):
            for result in node.users:
                program.graph_signature.replace_all_uses(result.name, convolution.name)
            _fold(node, [None if each is None else targets[each.name] for each in constants], held)
    program.graph_module.recompile()
    return program


def _fold(node: Any, names: list[Any], held: dict[str, Any]) -> None:
    """Folds one norm.

    Args:
        node: the norm.
        names: of weights, bias, factor, shift, mean and variance; None where there is none.
        held: weights by name; modified.
    """
    from torch.nn import Parameter

    convolution, mean, epsilon = node.args[0], node.args[3], node.args[6]
    groups = convolution.args[_GROUPS] if len(convolution.args) > _GROUPS else 1
    values: list[Any] = [None if name is None else held[name].detach() for name in names]
    weight, bias = _folded(*values, epsilon=epsilon, groups=groups)
    held[names[0]], held[names[4]] = Parameter(weight, requires_grad=False), bias
    convolution.args = (*convolution.args[:2], mean, *convolution.args[3:])
    for result in list(node.users):
        result.replace_all_uses_with(convolution)
        node.graph.erase_node(result)
    node.graph.erase_node(node)


def _folded(
    weight: Tensor,
    bias: Tensor | None,
    factor: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float,
    groups: int,
) -> tuple[Tensor, Tensor]:
    """Weights `(C_in, C_out / groups, kh, kw)` and biases `(C_out,)` that do what convolution and norm do."""
    scale = (variance.double() + epsilon).rsqrt()
    scale = scale if factor is None else scale * factor
    centre = -mean.double() if bias is None else bias - mean.double()
    added = centre * scale if shift is None else centre * scale + shift
    parts = weight.double().reshape(groups, -1, *weight.shape[1:]) * scale.view(groups, 1, -1, 1, 1)
    return parts.flatten(0, 1).to(weight.dtype), added.to(weight.dtype)
