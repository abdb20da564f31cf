"""More special layers that one expression builds: activations, arithmetic, choice of values and moves of data."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as f

from tests import special_code as code
from tests import special_context as context
from tests.special_blocks import CHANNELS, conv

Function = Callable[[Tensor], Tensor]


class Applied(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Combined(nn.Module):
    """A function of a map and of what layers make of it."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *(layer(x) for layer in self.layers))


def _apply(function: Function) -> Callable[[], nn.Module]:
    return lambda: Applied(function)


def _scripted() -> nn.Module:
    def mish(x: Tensor) -> Tensor:
        return x.mul(f.softplus(x).tanh())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return Applied(torch.jit.script(mish))


_EDGES = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])


def _sobel(x: Tensor) -> Tensor:
    both = torch.stack([_EDGES, _EDGES.t()]).unsqueeze(1).repeat(x.size(1), 1, 1, 1)
    edges = f.conv2d(f.pad(x, (1, 1, 1, 1), mode="replicate"), both, groups=x.size(1)).unflatten(1, (-1, 2))
    return torch.sqrt(edges.pow(2).sum(2) + 1e-6)


def _shifted(x: Tensor) -> Tensor:
    parts = x.chunk(4, dim=1)
    moves = ((1, 2), (-1, 2), (1, 3), (-1, 3))
    rolled = [torch.roll(part, step, axis) for part, (step, axis) in zip(parts, moves, strict=True)]
    out = torch.cat(rolled, dim=1)
    return torch.narrow(f.pad(out, (1, 1, 1, 1)), 2, 1, x.shape[2]).narrow(3, 1, x.shape[3])


def _inverse_haar(x: Tensor) -> Tensor:
    a, b, c, d = x.chunk(4, dim=1)
    batch, channels, height, width = a.shape
    out = torch.zeros(batch, channels, height * 2, width * 2, dtype=x.dtype, device=x.device)
    out[:, :, 0::2, 0::2] = a - b - c + d
    out[:, :, 1::2, 0::2] = a - b + c - d
    out[:, :, 0::2, 1::2] = a + b - c - d
    out[:, :, 1::2, 1::2] = a + b + c + d
    return out


MORE_LAYERS: dict[str, Callable[[], nn.Module]] = {
    # Attention and context
    "criss-cross attention": context.CrissCross,
    "cosine attention in masked windows": context.MaskedWindows,
    "neighbourhood attention": context.NeighbourAttention,
    "focal modulation": context.FocalModulation,
    "polarised attention": context.PolarizedAttention,
    "multi-scale attention": context.MultiScaleAttention,
    "expectation-maximisation attention": context.ExpectationMaximisation,
    "involution": context.Involution,
    "split attention": context.SplitAttention,
    "double attention": context.DoubleAttention,
    "rotary and causal attention": context.RotaryAttention,
    "frequency attention": context.FrequencyAttention,
    "codebook": context.Codebook,
    "pixel attention": lambda: Combined(lambda x, gate: x * gate.sigmoid(), conv(kernel=1)),
    "large-kernel attention": lambda: Combined(
        torch.mul,
        nn.Sequential(conv(kernel=5, groups=CHANNELS), conv(kernel=7, groups=CHANNELS, dilation=3), conv(kernel=1)),
    ),
    "strip convolutions": lambda: Combined(
        lambda x, *maps: x * sum(maps),
        *(
            nn.Sequential(
                nn.Conv2d(CHANNELS, CHANNELS, (1, k), padding=(0, k // 2), groups=CHANNELS),
                nn.Conv2d(CHANNELS, CHANNELS, (k, 1), padding=(k // 2, 0), groups=CHANNELS),
            )
            for k in (7, 11, 21)
        ),
    ),
    "bottleneck attention": lambda: Combined(
        lambda x, channel, space: x * (1 + torch.sigmoid(channel.expand_as(x) * space.expand_as(x))),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, CHANNELS, 1)),
        nn.Sequential(conv(2, 1), conv(2, dilation=4, channels=2), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1)),
    ),
    "self-calibrated convolution": lambda: Combined(
        lambda x, small, large: large * torch.sigmoid(x + f.interpolate(small, x.size()[2:])),
        nn.Sequential(nn.AvgPool2d(4, 4), conv()),
        conv(),
    ),
    "attention with weights": lambda: Combined(
        lambda x, q: (
            f.multi_head_attention_forward(
                q.flatten(2).permute(2, 0, 1),
                q.flatten(2).permute(2, 0, 1),
                x.flatten(2).permute(2, 0, 1),
                CHANNELS,
                2,
                torch.linspace(-1, 1, 3 * CHANNELS * CHANNELS).view(-1, CHANNELS),
                torch.zeros(3 * CHANNELS),
                None,
                None,
                False,
                0.0,
                torch.eye(CHANNELS),
                torch.zeros(CHANNELS),
                training=False,
                need_weights=True,
            )[1]
            .sum(1)
            .view(len(x), 1, *x.shape[2:])
            * x
        ),
        conv(kernel=1),
    ),
    "causal scaled attention": _apply(
        lambda x: f.scaled_dot_product_attention(
            x.transpose(1, 2), x.transpose(1, 2).flip(2), x.transpose(1, 2), is_causal=True, scale=0.3
        ).transpose(1, 2)
    ),
    "grouped-query attention": _apply(
        lambda x: (
            f.scaled_dot_product_attention(
                x.transpose(1, 2).unflatten(2, (4, 2)).transpose(1, 2).flatten(2, 3),
                *(2 * [x[:, :4].transpose(1, 2).unflatten(2, (2, 2)).transpose(1, 2).flatten(2, 3)]),
                enable_gqa=True,
            )
            .transpose(2, 3)
            .reshape(x.shape)
        )
    ),
    "attention masked by the image": _apply(
        lambda x: f.scaled_dot_product_attention(x, x, x.flip(2), attn_mask=x @ x.mT > x.mean()) + x
    ),
    "signs and the error function": _apply(
        lambda x: torch.copysign(x.abs() + 0.1, x.roll(1, 2)) + torch.erfc(x) + x.signbit() * x
    ),
    # What code does around layers
    "checkpointed layers": lambda: code.Checkpointed(use_reentrant=False),
    "checkpointed layers, re-entrant": lambda: code.Checkpointed(use_reentrant=True),
    "block without autocast": code.WithoutAutocast,
    "block without gradient": code.WithoutGradient,
    "function with its own gradient": code.OwnGradient,
    "features from hooks": code.Hooked,
    "buffer that calls change": code.CountingBuffer,
    "tied weights": code.TiedWeights,
    "named tuples and dictionaries": code.NamedFeatures,
    "arithmetic in place": code.InPlace,
    "masked assignment": code.MaskedAssignment,
    "convolution over depth": code.DepthConvolution,
    "kernels of the image, pointwise": lambda: code.ImageKernels(depthwise=False),
    "kernels of the image, depthwise": lambda: code.ImageKernels(depthwise=True),
    "recurrent rows, gru": lambda: code.RecurrentRows(nn.GRU),
    "recurrent rows, lstm": lambda: code.RecurrentRows(nn.LSTM),
    "scripted activation": _scripted,
    # Activations and norms
    "mish": nn.Mish,
    "hardswish and relu6": lambda: nn.Sequential(nn.Hardswish(), nn.ReLU6()),
    "selu and elu": lambda: nn.Sequential(nn.SELU(), nn.ELU(0.5)),
    "softplus with beta": lambda: nn.Softplus(beta=5, threshold=2),
    "swiglu": lambda: Combined(lambda x, y: f.silu(y.chunk(2, 1)[0]) * y.chunk(2, 1)[1] + x, conv(2 * CHANNELS)),
    "quick gelu and star relu": _apply(lambda x: x * torch.sigmoid(1.702 * x) + 0.8944 * f.relu(x) ** 2 - 0.4472),
    "funnel activation": lambda: Combined(torch.max, nn.Sequential(conv(groups=CHANNELS), nn.BatchNorm2d(CHANNELS))),
    "maxout": lambda: Combined(lambda x, y: y.view(len(x), 4, 4, *x.shape[2:]).max(dim=2).values, conv(16)),
    "dynamic relu": lambda: Combined(
        lambda x, y: torch.max(x.unsqueeze(-1) * y.view(len(x), CHANNELS, 1, 1, 2) + 0.1, dim=-1)[0],
        nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(2 * CHANNELS, 1), nn.Tanh()),
    ),
    "filter response norm": lambda: Combined(
        lambda x, y: torch.max(y * torch.rsqrt(y.pow(2).mean(dim=[2, 3], keepdim=True) + 1e-6), x * 0.1), conv()
    ),
    "synchronised batch norm": lambda: nn.SyncBatchNorm(CHANNELS),
    "adaptive instance norm": lambda: Combined(
        lambda x, y: f.instance_norm(x) * y.std(dim=(2, 3), keepdim=True) + y.mean((2, 3), keepdim=True), conv()
    ),
    "stochastic depth and dropout": lambda: nn.Sequential(nn.Dropout2d(0.3), nn.AlphaDropout(0.2), nn.Identity()),
    # Convolutions and sampling
    "same padding, even kernel": lambda: nn.Conv2d(CHANNELS, 5, (4, 2), padding="same", dilation=(1, 3)),
    "grouped convolution of odd widths": lambda: nn.Sequential(conv(9), nn.Conv2d(9, 15, 3, 2, 1, groups=3)),
    "transposed convolution, output padding": lambda: nn.ConvTranspose2d(
        CHANNELS, 6, (3, 5), (3, 2), (1, 2), output_padding=(2, 1), groups=2
    ),
    "transposed convolution over tokens": lambda: Combined(
        lambda x, y: y.unsqueeze(2).expand(-1, -1, x.shape[2], -1),
        nn.Sequential(Applied(lambda x: x.mean(2)), nn.ConvTranspose1d(CHANNELS, 3, 4, 2, 1)),
    ),
    "overlapping patches, folded": _apply(
        lambda x: f.fold(f.unfold(x, 4, stride=2, padding=1).softmax(1), x.shape[-2:], 4, stride=2, padding=1)
    ),
    "windows by unfold of a dimension": _apply(lambda x: x.unfold(2, 4, 2).unfold(3, 4, 4).amax(dim=(-1, -2))),
    "edges by sobel": _apply(_sobel),
    "shifted groups": _apply(_shifted),
    "inverse haar wavelet": _apply(_inverse_haar),
    "cropped by negative padding": _apply(lambda x: f.pad(x, [-2, -1, -3, 0]) + x[:, :, 3:, 2:-1]),
    "pooling to one side": lambda: nn.AdaptiveMaxPool2d((None, 3)),
    "pooling over tokens": _apply(
        lambda x: f.avg_pool1d(f.max_pool1d(x.flatten(2), 2), 3, 1)[..., :190].unflatten(2, (10, 19))
    ),
    "pooling in three dimensions": _apply(lambda x: f.max_pool3d(x.unsqueeze(1), (2, 1, 1)).squeeze(1)),
    "unpooling to a given size": _apply(
        lambda x: f.max_unpool2d(*f.max_pool2d(x[..., :15, :23], 2, return_indices=True), 2, output_size=(15, 23))
    ),
    "resizing by computed factors": _apply(
        lambda x: f.interpolate(x, scale_factor=(0.6, 1.7), mode="bilinear", recompute_scale_factor=True)
    ),
    "trilinear": _apply(lambda x: f.interpolate(x.unsqueeze(1), size=(4, 20, 30), mode="trilinear").squeeze(1)),
    "linear over tokens": _apply(
        lambda x: f.interpolate(x.mean(2), 31, mode="linear").unsqueeze(2).expand(-1, -1, 9, -1)
    ),
    "sampling, nearest and reflected": lambda: Combined(
        lambda x, y: f.grid_sample(x, 1.4 * y.permute(0, 2, 3, 1).tanh(), "nearest", "reflection", align_corners=False),
        conv(2),
    ),
    # Arithmetic
    "largest of two, atan2 and remainder": _apply(
        lambda x: (
            torch.maximum(x, x.flip(1)) + torch.minimum(x, x * x) + torch.atan2(x, x + 3) + torch.remainder(x, 0.7)
        )
    ),
    "clamped by tensors": _apply(lambda x: torch.clamp(x, x.mean(1, True) - 0.5, torch.full_like(x, 0.8))),
    "rounded division": _apply(lambda x: torch.div(x, 0.3, rounding_mode="floor") + torch.fmod(x, 0.4) + x // 0.25),
    "interpolated and divided sums": _apply(
        lambda x: torch.lerp(x, x.tanh(), 0.3) + torch.addcmul(x, x, x, value=0.2) + torch.addcdiv(x, x, x * x + 1)
    ),
    "norms": _apply(lambda x: x / (x.norm(1, 1, True) + x.norm(float("inf"), 2, True) + torch.linalg.vector_norm(x))),
    "cosine similarity": _apply(lambda x: f.cosine_similarity(x[:, :, None], x[:, :, :, :1].unsqueeze(2), dim=1)),
    "logarithms and inverse functions": _apply(
        lambda x: torch.log1p(x * x) + torch.expm1(x / 4) + torch.asinh(x) + torch.atan(x) + torch.sinh(x / 4)
    ),
    "log-add-exp and hypotenuse": _apply(
        lambda x: torch.logaddexp(x, x.flip(1)) + torch.hypot(x, x + 1) + torch.exp2(x)
    ),
    "not a number to zero": _apply(lambda x: torch.nan_to_num(x / x.relu(), 0.0, 1.0, -1.0)),
    "tests of values": _apply(
        lambda x: x * torch.isfinite(x) + (x > 0).any(1, True).float() + (x < 1).all(1, True) + torch.heaviside(x, x)
    ),
    "cumulative product and largest": _apply(
        lambda x: x.tanh().cumprod(1) + x.cummax(2)[0] + x.diff(dim=3, prepend=x[..., :1])
    ),
    "mean and deviation at once": _apply(
        lambda x: (x - torch.std_mean(x, 1, keepdim=True)[1]) / torch.var_mean(x, (2, 3), keepdim=True)[0]
    ),
    "entropy": _apply(lambda x: -(x.softmax(1) * torch.log(x.softmax(1) + 1e-8)).sum(1, keepdim=True) * x),
    "quantile": _apply(lambda x: x - torch.quantile(x, 0.3, dim=1, keepdim=True)),
    "float64 and back": _apply(lambda x: (x.double().mean((2, 3), keepdim=True) + x.double()).float()),
    "integer arithmetic": _apply(lambda x: ((x * 10).long() % 4 + (x * 10).int() // 3).float() + (x > 0).sum(1, True)),
    # Choice and moves
    "gathered by argmax": _apply(
        lambda x: torch.gather(x, 1, x.argsort(dim=1)[:, -2:]) + x.take_along_dim(x.argmin(1, True), 1)
    ),
    "scattered one-hot": _apply(lambda x: torch.zeros_like(x).scatter_(1, x.argmax(dim=1, keepdim=True), 1.0) + x),
    "sorted channels": _apply(lambda x: torch.sort(x, dim=1, descending=True)[0]),
    "best pixels": _apply(
        lambda x: (
            torch.gather(x.flatten(2), 2, x.mean(1).flatten(1).topk(9)[1].unsqueeze(1).expand(-1, CHANNELS, -1)).mean(
                2
            )[..., None, None]
            + x
        )
    ),
    "where on constants": _apply(lambda x: torch.where(x > 0, torch.tensor(1.0), torch.tensor(0.25)) * x),
    "upper triangle": _apply(
        lambda x: torch.triu(x, 1) + x.tril(-2) + torch.diagonal(x, 0, 2, 3).mean(-1)[..., None, None]
    ),
    "uneven parts": _apply(
        lambda x: torch.cat(x.tensor_split(3, dim=1)[::-1] + x.chunk(3, dim=2)[0].split((5, 19), 3)[:0], 1)
    ),
    "turned by a quarter": _apply(lambda x: torch.rot90(x, 1, (2, 3)).transpose(2, 3) + x.swapaxes(1, 2).movedim(1, 2)),
    "tiled and outer": _apply(
        lambda x: x.mean((2, 3)).tile(1, 2)[:, 8:, None, None] + torch.einsum("bch,bcw->bchw", x.mean(3), x.mean(2))
    ),
    "index add": _apply(lambda x: torch.zeros_like(x).index_add_(1, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]), x)),
    "sizes as tensors": _apply(lambda x: x / torch.tensor(x.shape[1:]).prod().sqrt() + x.numel() / x.size(3) / 1000),
}
