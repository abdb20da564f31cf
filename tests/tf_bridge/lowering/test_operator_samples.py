"""PyTorch's own samples of its operators: each is exported and computes the same, or is refused in one line."""

from __future__ import annotations

import sys
import unittest
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError, lower_program
from tf_bridge.tracing import trace

pytestmark = [pytest.mark.tflite, pytest.mark.slow]

COUNT = 2  # samples of each operator
ARITHMETIC = """
    abs add addcdiv addcmul addmm baddbmm atan2 bmm ceil clamp clamp_max clamp_min cos deg2rad div eq erf exp exp2 expm1
    floor float_power ge gt hypot lerp le log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt
    acos acosh asin asinh atan atanh cosh fmod isfinite isnan logaddexp nan_to_num sinh
    matmul maximum minimum mm mul mv ne neg pow rad2deg reciprocal remainder round rsqrt rsub sigmoid sign sin sinc
    sqrt square sub tan tanh true_divide trunc where xlogy masked_fill
    """
SHAPES = """
    H T broadcast_to chunk constant_pad_nd diff expand expand_as flatten flip fliplr flipud gather index_select inner
    kron mT meshgrid movedim narrow new_full new_ones new_zeros ones_like outer permute ravel repeat reshape roll rot90
    select slice split split_with_sizes squeeze t tensor_split tensordot tile transpose tril triu unbind unflatten
    diagonal index_add scatter scatter_add unfold
    unsqueeze view zeros_like full_like __getitem__ repeat_interleave take_along_dim
    """
REDUCTIONS = """
    all amax amin aminmax any argmax argmin cumprod cumsum log_softmax logsumexp max mean min norm prod softmax std
    std_mean sum topk var var_mean count_nonzero sort argsort msort kthvalue median
    """
LAYERS = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d avg_pool2d batch_norm
    celu channel_shuffle conv1d conv2d conv_transpose1d conv_transpose2d elu gelu glu
    group_norm hardshrink hardsigmoid hardswish hardtanh instance_norm interpolate layer_norm leaky_relu linear
    local_response_norm logsigmoid max_pool1d max_pool2d mish normalize pad pixel_shuffle pixel_unshuffle prelu
    relu relu6 rms_norm scaled_dot_product_attention selu silu softmin softplus softshrink softsign tanhshrink
    threshold unfold upsample_bilinear upsample_nearest
    """
NAMES = [*(ARITHMETIC + SHAPES + REDUCTIONS).split(), *(f"nn.functional.{name}" for name in LAYERS.split())]


@dataclass(frozen=True)
class Sample:
    """One call of an operator."""

    operator: Any
    image: Tensor  # its first argument
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class Call(nn.Module):
    """A network that turns its image into the first argument of an operator, and calls it."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.sample, self.shape = sample, sample.image.shape

    def forward(self, image: Tensor) -> list[Tensor]:
        result = self.sample.operator(image.reshape(self.shape), *self.sample.arguments, **self.sample.keywords)
        return [each for each in tree_leaves(result) if isinstance(each, Tensor)]


@pytest.fixture(scope="module")
def database() -> dict[str, list[Any]]:
    """PyTorch's samples by operator."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "expecttest" not in sys.modules:  # PyTorch's own tests need it, the samples do not
            stand_in = ModuleType("expecttest")
            stand_in.TestCase = unittest.TestCase
            patch.setitem(sys.modules, "expecttest", stand_in)
        from torch.testing._internal.common_methods_invocations import op_db
    found: dict[str, list[Any]] = {}
    for operator in op_db:
        found.setdefault(operator.name, []).append(operator)
    return found


def samples(operators: list[Any], count: int) -> Iterator[Sample]:
    """Samples in float32 with a first argument that holds something, spread over all that PyTorch has."""
    for operator in operators:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            drawn = [each for each in operator.sample_inputs("cpu", torch.float32, requires_grad=False) if usable(each)]
        step = max((len(drawn) - 1) // max(count - 1, 1), 1)
        for each in islice(drawn, 0, None, step):
            yield Sample(operator.op, each.input, each.args, each.kwargs)


def usable(sample: Any) -> bool:
    first = sample.input
    return isinstance(first, Tensor) and first.dtype == torch.float32 and first.numel() > 0 and first.dim() <= 6


def as_image(tensor: Tensor) -> Tensor:
    """Its elements as an image with as many rows as divide them."""
    height = next(side for side in (4, 3, 5, 2, 1) if tensor.numel() % side == 0)
    return tensor.detach().reshape(1, -1, height, 1)


def compared(tf: Any, sample: Sample) -> str:
    """`right`, what was said, or a failed assertion."""
    network, image = Call(sample).eval(), as_image(sample.image)
    try:
        program = trace(network, image)
    except ValueError:
        return "PyTorch cannot trace it"
    with torch.no_grad():
        expected = network(image)
    try:
        results = lower_program(program, tf)(tf.constant(image.permute(0, 2, 3, 1).contiguous().numpy()))
    except UnsupportedOperatorError as error:
        return str(error)
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        stored = result.numpy().transpose(0, 3, 1, 2) if wanted.dim() == 4 else result.numpy()
        np.testing.assert_allclose(stored, wanted.numpy(), rtol=1e-3, atol=1e-4)
    return "right"


def plain(sample: Sample) -> Sample:
    return Sample(
        sample.operator,
        sample.image.detach(),
        *tree_map_only(Tensor, lambda each: each.detach(), (sample.arguments, sample.keywords)),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:.*is deprecated. Use:UserWarning")  # old names that PyTorch still has
def test_it_computes_the_same_or_says_why_not(name: str, database: dict[str, list[Any]]) -> None:
    pytest.importorskip("tensorflow")
    tf = import_tensorflow()
    outcomes = [compared(tf, plain(sample)) for sample in samples(database[name], COUNT)]
    assert "right" in outcomes, outcomes
    assert not any("\n" in outcome for outcome in outcomes)
