"""Finds the first divergent layer: the first whose output in an exported file differs from the PyTorch network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.file_layers import OUTPUT
from tf_bridge.certify.file_reader import FileReader, LocalFile
from tf_bridge.certify.network_layers import ReferenceLayers, reference_layers
from torchseg.modelfile.precision import Precision

if TYPE_CHECKING:
    from torch.export import ExportedProgram


# Allowed error as a share of a layer's range: the largest error for floats, the root mean square error for integers.
TOLERANCES: Mapping[Precision, float] = {
    Precision.FP32: 1e-3,
    Precision.FP16: 1e-2,
    Precision.DYNAMIC: 2e-2,
    Precision.INT8: 2e-2,
}
_ROUNDED = (Precision.DYNAMIC, Precision.INT8)
_JUMP = 2.0  # rounding errors grow slowly; a layer is suspect if its error is more than twice that of its inputs
_DEAD = 1e-4  # share of the widest layer's range; a layer with a narrower range counts as constant


@dataclass(frozen=True, kw_only=True)
class FirstDifference:
    """The first divergent layer of a file."""

    layer: str  # path of the PyTorch layer, e.g. `decode.2.0`
    operator: str  # inside that layer
    also: tuple[str, ...]  # layers fused into the same operation of the file, which may be the cause instead
    error: float  # share of the layer's range
    tolerance: float  # share of the layer's range

    def __str__(self) -> str:
        also = f" (or {', '.join(self.also)}, which the file computes in the same step)" if self.also else ""
        return (
            f"first differs at layer `{self.layer}`{also}, operator {self.operator}: "
            f"error {self.error:.3g} of the layer's range, expected at most {self.tolerance:.3g}"
        )


def first_difference(
    program: ExportedProgram,
    path: Path,
    image: NDArray[np.float32],
    *,
    precision: Precision,
    picture: NDArray[np.uint8] | None = None,
    reader: FileReader | None = None,
) -> FirstDifference | None:
    """Runs network and file on one image and compares the outputs of their layers, in the order of the network.

    Args:
        program: the traced network that the file should reproduce, from `export_program`.
        path: `.onnx` or `.tflite` file with tensors named after layers, as the exporters of this package name them.
        image: prepared, float32 `(1, C, H, W)`.
        precision: of the file; selects the tolerance.
        picture: for an end-to-end file, its input instead of `image`: uint8 `(1, C, H, W)`.
        reader: reads and runs the file; by default, in this process.

    Returns:
        The first layer beyond the tolerance. For int8 and dynamic, the first layer beyond the tolerance whose error is
        more than twice that of its inputs, if there is one. None if all comparable layers are within the tolerance.

    Raises:
        ValueError: if no tensor of the file is named after a layer of the network.
    """
    reference = reference_layers(program, image)
    found = (reader or LocalFile(path)).layers().run(image if picture is None else picture)
    if OUTPUT in found:
        found[reference.output] = found.pop(OUTPUT)
    errors = _errors(reference, found, rounded=precision in _ROUNDED)
    if not errors:
        raise ValueError(f"{path} names no layer of the network; export it again with this release")
    tolerance = TOLERANCES[precision]
    beyond = [name for name, error in errors.items() if not error <= tolerance]  # written so that a NaN is beyond
    if not beyond:
        return None
    name = beyond[0]
    if precision in _ROUNDED:
        name = next((each for each in beyond if _jumps(each, errors, reference)), name)
    layer, _, operator = name.rpartition("/")
    return FirstDifference(
        layer=layer,
        operator=operator,
        also=_also(name, errors, reference),
        error=errors[name],
        tolerance=tolerance,
    )


def _errors(reference: ReferenceLayers, found: Mapping[str, NDArray[Any]], *, rounded: bool) -> dict[str, float]:
    """Error of every layer that the file exposes, as a share of the layer's range, in the order of the network."""
    # Ranges contain zero, as in quantizers.
    spans = {name: max(float(v.max()), 0.0) - min(float(v.min()), 0.0) for name, v in reference.values.items()}
    least = _DEAD * max(spans.values(), default=0.0)
    errors = {}
    for name, value in reference.values.items():
        if name in found and found[name].shape == value.shape:
            difference = np.abs(found[name].astype(np.float64) - value)
            size = np.sqrt(np.square(difference).mean()) if rounded else difference.max()
            errors[name] = float(size) / (max(spans[name], least) or 1.0)
    return errors


def _jumps(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> bool:
    given = [errors[each] for each in _inputs(name, errors, reference)[0]]
    return not errors[name] <= _JUMP * max(given, default=0.0)


def _also(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> tuple[str, ...]:
    own = name.rpartition("/")[0]
    layers = (each.rpartition("/")[0] for each in reversed(_inputs(name, errors, reference)[1]))
    return tuple(dict.fromkeys(layer for layer in layers if layer != own))


def _inputs(name: str, errors: Mapping[str, float], reference: ReferenceLayers) -> tuple[list[str], list[str]]:
    """The nearest preceding values that the file exposes, and those in between that it does not expose."""
    shown: list[str] = []
    hidden: list[str] = []
    waiting = list(reference.sources.get(name, ()))
    while waiting:
        each = waiting.pop(0)
        if each in errors:
            shown.append(each)
        elif each not in hidden:
            hidden.append(each)
            waiting += reference.sources.get(each, ())
    return shown, hidden
