"""TFLite files with some weights in float16 and the lightest in float32; the converter itself halves all or none."""

from __future__ import annotations

import numpy as np

from tf_bridge.float_weights import lightest
from tf_bridge.layer_names import layer_of_tensor
from tf_bridge.tflite.flatbuffer import TfliteEdit


def halve_tflite(content: bytes, *, float_share: float) -> tuple[bytes, list[str]]:
    """Stores weights as float16 in front of a DEQUANTIZE each, as the converter does.

    Args:
        content: a float32 file.
        float_share: of all values, that stay in float32: those of the lightest weights, and of such that leave the
            range of float16.

    Returns:
        Bytes of the file, and the layers whose weights stayed in float32, in the order of the graph.
    """
    edit = TfliteEdit(content)
    constants = edit.constants()
    kept = lightest({place: values.size for place, values in constants.items()}, float_share)
    layers = []
    for place, values in constants.items():
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if place in kept or not np.isfinite(half).all():
            if values.ndim > 1:
                layers.append(layer_of_tensor(edit.tensor(place).name.decode()))
            continue
        name = edit.tensor(place).name.decode()
        edit.put_in_front("DEQUANTIZE", [edit.add_tensor(f"{name}/half", half.shape, "FLOAT16", values=half)], place)
        edit.forget(place)
    return edit.content({}), list(dict.fromkeys(layers))
