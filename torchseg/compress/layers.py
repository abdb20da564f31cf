"""Which layers of a network compression is about: those that hold nearly all weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

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
        exclude: names of layers to leave out; the name of a block leaves out every layer below it.
        named: names of single layers that the caller has settings for; they are checked too.

    Raises:
        ValueError: for a type or a name that does not exist or stands for no such layer; says which are near.
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
