"""The table of operators that can be lowered to TensorFlow: a new one is one function and one line in its group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tf_bridge.lowering.convolution import CONVOLUTION
from tf_bridge.lowering.pointwise import POINTWISE
from tf_bridge.lowering.pooling import POOLING
from tf_bridge.lowering.reduction import REDUCTION
from tf_bridge.lowering.resize import RESIZE
from tf_bridge.lowering.shape import SHAPE

OPERATORS: Mapping[str, Callable[..., Any]] = {
    **CONVOLUTION,
    **POINTWISE,
    **POOLING,
    **REDUCTION,
    **RESIZE,
    **SHAPE,
}
