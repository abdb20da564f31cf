"""Turns errors of ONNX's checker and of ONNX Runtime's quantizer into one message that names the layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tf_bridge.onnx.value_names import layer_of_node

if TYPE_CHECKING:
    from onnx import ModelProto

_LONGEST = 300  # characters of the quoted reason: some errors print a whole graph


@contextmanager
def one_message(work: str, model: ModelProto, *, advice: str) -> Iterator[None]:
    """Raises what fails inside the block as a ValueError that says which layer fails and what to do.

    The libraries raise AssertionError, KeyError, RuntimeError and classes of their own, mostly from deep inside.
    Missing packages, full disks and exhausted memory are not the network's fault and pass through.

    Args:
        work: what fails, e.g. `int8 quantization`.
        model: with nodes that errors refer to.
        advice: what to do instead.
    """
    try:
        yield
    except (ImportError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        layer = failing_layer(str(error), model)
        at = f" at layer '{layer}'" if layer else ""
        raise ValueError(f"{work} fails{at} ({reason[:_LONGEST]}); {advice}") from error


def failing_layer(message: str, model: ModelProto) -> str:
    """The layer of the node that an error message names by itself or by one of its results; empty if there is none."""
    words = set(re.findall(r"[^\s'\"(),:]+", message))
    weights = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if words & {name for name in (node.name, *node.output) if name}:
            return f"{layer_of_node(node, weights)} ({node.op_type})"
    return ""
