"""Selects the layers to compress, finds the smallest ones, and reshapes weights to one row per output channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from torchseg.spec import nearest

OP_TYPES: Mapping[str, type[nn.Module]] = {
    "Conv2d": nn.Conv2d,
    "ConvTranspose2d": nn.ConvTranspose2d,
    "Linear": nn.Linear,
}


def weight_layers(
    model: nn.Module,
    *,
    op_types: Sequence[str] = ("default",),
    exclude: Iterable[str] = (),
    named: Iterable[str] = (),
) -> dict[str, nn.Module]:
    """Layers of these types by name, in the order of the network.

    Args:
        model: any network.
        op_types: keys of `OP_TYPES`; `default` means all of them.
        exclude: names of layers to leave out; the name of a block leaves out every layer in it.
        named: names of single layers that the caller has settings for; only checked.

    Raises:
        ValueError: for a type or name that does not exist or is not such a layer; suggests similar names.
    """
    if unknown := [name for name in op_types if name not in (*OP_TYPES, "default")]:
        hint = nearest(unknown[0], (*OP_TYPES, "default"))
        raise ValueError(f"there is no op type '{unknown[0]}'{hint}; choose from default, {', '.join(OP_TYPES)}")
    types = tuple(OP_TYPES.values()) if "default" in op_types else tuple(OP_TYPES[name] for name in op_types)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, types)}
    for name in named:
        _check(name, layers, model)
    for name in exclude:
        below = [layer for layer in layers if layer == name or layer.startswith(f"{name}.")]
        if not below:
            _check(name, layers, model)
    left_out = tuple(exclude)
    return {
        name: module
        for name, module in layers.items()
        if not any(name == skipped or name.startswith(f"{skipped}.") for skipped in left_out)
    }


def _check(name: str, layers: Mapping[str, nn.Module], model: nn.Module) -> None:
    if name in layers:
        return
    modules = dict(model.named_modules())
    if name in modules and name:
        kind = type(modules[name]).__name__
        raise ValueError(
            f"'{name}' is a {kind}, no layer to compress{nearest(name, layers)}; name one of {_few(layers)}"
        )
    raise ValueError(f"the network has no layer '{name}'{nearest(name, layers)}; it has {_few(layers)}")


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")


def smallest_layers(layers: Mapping[str, nn.Module], *, share: float) -> tuple[str, ...]:
    """Names of the smallest layers that together hold at most this share of all weights.

    They usually include the first and last layers of a segmentation network, which have few channels and run at full
    resolution, so that each of their weights affects many pixels.

    Args:
        layers: convolutions and linear layers, by name.
        share: in [0, 1).
    """
    sizes = {name: _weights(layer) for name, layer in layers.items()}
    left, light = share * sum(sizes.values()), []
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        left -= sizes[name]
        if left < 0:
            break
        light.append(name)
    return tuple(light)


def carried_sparsity(layers: Mapping[str, nn.Module], light: tuple[str, ...], *, sparsity: float) -> float:
    """Sparsity that the other layers need, with the `light` ones dense, for an overall `sparsity`; may exceed 1."""
    total = sum(_weights(layer) for layer in layers.values())
    others = total - sum(_weights(layers[name]) for name in light)
    return sparsity * total / others if others else sparsity


def _weights(layer: nn.Module) -> int:
    weight = layer.weight
    return weight.numel() if isinstance(weight, Tensor) else 0


def channel_rows(weight: Tensor, layer: nn.Module) -> Tensor:
    """Reshapes a weight to one row per output channel.

    Args:
        weight: the layer's weight, or a tensor of its shape: `(C_out, C_in / groups, H, W)` for a convolution,
            `(C_in, C_out / groups, H, W)` for a transposed convolution, `(C_out, C_in)` for a linear layer.
        layer: convolution, transposed convolution or linear layer.

    Returns:
        `(C_out, N)`, with the N elements of each output channel in one row.
    """
    if not isinstance(layer, nn.ConvTranspose2d):
        return weight.flatten(1)  # (C_out, C_in / groups * H * W)
    inputs, outputs = weight.shape[0] // layer.groups, weight.shape[1]
    grouped = weight.reshape(layer.groups, inputs, outputs, *weight.shape[2:]).transpose(1, 2)
    return grouped.reshape(layer.groups * outputs, -1)  # (C_out, C_in / groups * H * W)


def from_channel_rows(rows: Tensor, layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Inverse of `channel_rows`: turns rows `(C_out, N)` back into a weight of this shape."""
    if not isinstance(layer, nn.ConvTranspose2d):
        return rows.reshape(shape)
    grouped = rows.reshape(layer.groups, shape[1], shape[0] // layer.groups, *shape[2:])
    return grouped.transpose(1, 2).reshape(shape)
