"""Networks with one special layer each: what published segmentation networks hold beside plain convolutions.

Every entry of `SPECIAL_LAYERS` makes a network that maps images `(B, 3, H, W)` to logits `(B, 3, H, W)`, with
sides that divide by eight. The exporters are measured on this list, see `benchmarks/special_layers.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.nn.utils import parametrizations

from tests import special_attention as attention
from tests import special_blocks as blocks
from tests import special_sampling as sampling
from tests.special_blocks import CHANNELS, conv
from tests.special_functions import MORE_LAYERS, Applied, Function
from tests.special_masks import MASKED_LAYERS

CLASSES = 3
SIZE = (16, 24)


class SpecialNetwork(nn.Module):
    """A convolution to eight channels, the special layer, and logits at the size of the image."""

    stride = 8

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, CHANNELS, 3, padding=1), layer
        with torch.no_grad():
            channels = self.eval().layer(self.stem(torch.zeros(1, 3, *SIZE))).shape[1]
        self.head = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, image: Tensor) -> Tensor:
        y = self.head(self.layer(self.stem(image)))
        if y.shape[2:] != image.shape[2:]:
            y = f.interpolate(y, size=image.shape[2:], mode="bilinear", align_corners=False)
        return y


def build_special(name: str, seed: int = 0) -> nn.Module:
    """The network of that name in eval mode, with random weights and norms that have seen images."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SpecialNetwork(SPECIAL_LAYERS[name]())
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def _apply(function: Function) -> Callable[[], nn.Module]:
    return lambda: Applied(function)


def _resize(mode: str, align_corners: bool | None = None, **arguments: object) -> Callable[[], nn.Module]:
    return _apply(lambda x: f.interpolate(x, mode=mode, align_corners=align_corners, **arguments))  # type: ignore[arg-type]


SPECIAL_LAYERS: dict[str, Callable[[], nn.Module]] = {
    # Normalisation
    "group norm": lambda: nn.GroupNorm(4, CHANNELS),
    "group norm, one group": lambda: nn.GroupNorm(1, CHANNELS),
    "instance norm": lambda: nn.InstanceNorm2d(CHANNELS),
    "instance norm, affine": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "layer norm of channels": blocks.ChannelsFirstNorm,
    "layer norm, channels last": lambda: blocks.ChannelsLast(nn.LayerNorm(CHANNELS)),
    "layer norm of the map": lambda: nn.LayerNorm([CHANNELS, *SIZE]),
    "rms norm, channels last": lambda: blocks.ChannelsLast(nn.RMSNorm(CHANNELS)),
    "local response norm": lambda: nn.LocalResponseNorm(3),
    "global response norm": blocks.GlobalResponseNorm,
    "l2 norm of channels": _apply(lambda x: f.normalize(x, dim=1)),
    "weight norm": lambda: parametrizations.weight_norm(conv()),
    "spectral norm": lambda: parametrizations.spectral_norm(conv()),
    "weight-standardised convolution": blocks.WeightStandardised,
    "batch norm without statistics": lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    # Attention
    "squeeze and excitation": attention.SqueezeExcitation,
    "cbam": attention.Cbam,
    "simam": attention.SimAm,
    "efficient channel attention": attention.EfficientChannelAttention,
    "coordinate attention": attention.CoordinateAttention,
    "non-local": attention.NonLocal,
    "channel attention": attention.ChannelAttention,
    "global context": attention.GlobalContext,
    "shuffle attention": attention.ShuffleAttention,
    "window attention": attention.WindowAttention,
    "shifted window attention": lambda: attention.WindowAttention(shift=2),
    "efficient attention": attention.EfficientAttention,
    "multi-head attention": attention.MultiHead,
    "transformer layer": attention.TransformerLayer,
    "linear attention": attention.LinearAttention,
    "axial attention": attention.AxialAttention,
    "cross attention of classes": attention.ObjectContext,
    "selective kernels": blocks.SelectiveKernel,
    "attention gate": blocks.AttentionGate,
    "triplet attention": attention.TripletAttention,
    # Blocks
    "aspp": blocks.Aspp,
    "pyramid pooling": sampling.PyramidPooling,
    "strip pooling": sampling.StripPooling,
    "ghost module": blocks.Ghost,
    "mix ffn": blocks.MixFfn,
    "convnext block": blocks.ConvNext,
    "mixer": blocks.Mixer,
    "pool former": lambda: blocks.Residual(nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "layer scale": blocks.LayerScale,
    "channel shuffle": lambda: nn.ChannelShuffle(2),
    "patch embedding and merging": sampling.PatchMerging,
    "focus (space to depth by slices)": sampling.Focus,
    "carafe": sampling.Carafe,
    "data-dependent upsampling": sampling.DataDependentUpsampling,
    "flow alignment": sampling.FlowAlignment,
    "spatial transformer": sampling.SpatialTransformer,
    "coordinate convolution": sampling.CoordConv,
    "blur pooling": sampling.BlurPool,
    "segnet unpooling": sampling.Unpooling,
    "position embedding": sampling.PositionEmbedding,
    "haar wavelet": sampling.Haar,
    "gated convolution (glu)": lambda: nn.Sequential(conv(2 * CHANNELS), nn.GLU(dim=1)),
    "soft pooling": sampling.SoftPool,
    "unfolded convolution": sampling.UnfoldedConvolution,
    "mixture of dynamic kernels": blocks.DynamicConvolution,
    # Convolutions
    "conv1d over pixels": lambda: blocks.Tokens(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1)),
    "grouped conv1d over pixels": lambda: blocks.Tokens(nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2, groups=CHANNELS)),
    "linear over channels": lambda: blocks.ChannelsLast(nn.Linear(CHANNELS, 5)),
    "linear over width": _apply(lambda x: f.linear(x, torch.linspace(-1, 1, 24 * 24).view(24, 24))),
    "reflect-padded convolution": lambda: nn.Conv2d(CHANNELS, 4, 3, padding=1, padding_mode="reflect"),
    "replicate-padded convolution": lambda: nn.Conv2d(CHANNELS, 4, 3, padding=1, padding_mode="replicate"),
    "circular-padded convolution": lambda: nn.Conv2d(CHANNELS, 4, 3, padding=1, padding_mode="circular"),
    "dilated transposed convolution": lambda: nn.ConvTranspose2d(CHANNELS, 4, 3, padding=2, dilation=2),
    "grouped transposed convolution": lambda: nn.ConvTranspose2d(CHANNELS, 4, 4, 2, 1, groups=4),
    "depthwise transposed convolution": lambda: nn.ConvTranspose2d(CHANNELS, CHANNELS, 4, 2, 1, groups=CHANNELS),
    "grouped dilated convolution": lambda: conv(groups=4, dilation=2),
    "pixel shuffle": lambda: nn.Sequential(conv(16), nn.PixelShuffle(2)),
    "pixel unshuffle": lambda: nn.PixelUnshuffle(2),
    "circular padding": lambda: nn.CircularPad2d((1, 2, 0, 3)),
    "reflection padding": lambda: nn.ReflectionPad2d(2),
    "constant padding": lambda: nn.ConstantPad2d(1, 0.7),
    # Resizing and pooling
    "bicubic": _resize("bicubic", False, scale_factor=2.0),
    "bicubic, corners aligned": _resize("bicubic", True, size=(23, 31)),
    "nearest-exact": _resize("nearest-exact", size=(21, 35)),
    "nearest by 1.5": _resize("nearest", scale_factor=1.5),
    "nearest to an uneven size": _resize("nearest", size=(23, 37)),
    "bilinear by 1.3": _resize("bilinear", False, scale_factor=1.3),
    "bilinear by 0.7, corners aligned": _resize("bilinear", True, scale_factor=0.7),
    "bilinear, antialiased": _resize("bilinear", False, size=(7, 9), antialias=True),
    "area": _resize("area", size=(5, 7)),
    "adaptive average pooling, uneven": lambda: nn.AdaptiveAvgPool2d((5, 7)),
    "adaptive max pooling, uneven": lambda: nn.AdaptiveMaxPool2d((5, 7)),
    "dilated max pooling": lambda: nn.MaxPool2d(3, 1, 1, dilation=2),
    "average pooling with its own divisor": lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5),
    "average pooling, ceil mode": lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "power-average pooling": lambda: nn.Sequential(nn.Sigmoid(), nn.LPPool2d(2, 2)),
    # Activations and arithmetic
    "prelu": lambda: nn.PReLU(CHANNELS),
    "gelu": nn.GELU,
    "gelu by tanh": lambda: nn.GELU(approximate="tanh"),
    "celu": lambda: nn.CELU(0.7),
    "softsign": nn.Softsign,
    "logsigmoid": nn.LogSigmoid,
    "hardshrink": nn.Hardshrink,
    "softshrink": nn.Softshrink,
    "tanhshrink": nn.Tanhshrink,
    "threshold": lambda: nn.Threshold(0.1, -0.4),
    "randomised leaky relu": nn.RReLU,
    "sine": _apply(lambda x: torch.sin(x) + torch.cos(2 * x)),
    "error function": _apply(torch.erf),
    "rounding": _apply(lambda x: torch.cat([x.floor(), x.ceil(), x.round(), x.sign(), x.trunc()], dim=1)),
    "powers and roots": _apply(lambda x: x.abs().add(1).pow(1.7).reciprocal() + torch.rsqrt(x * x + 1) + x**3),
    "softmax over height": lambda: nn.Softmax(dim=2),
    "log-softmax over width": lambda: nn.LogSoftmax(dim=3),
    "softmax over pixels": _apply(lambda x: x.flatten(2).softmax(-1).view_as(x)),
    "standard deviation": _apply(lambda x: (x - x.mean((2, 3), True)) / (x.std((2, 3), keepdim=True) + 1e-3)),
    "variance without keeping dims": _apply(lambda x: x * x.var(dim=(2, 3))[:, :, None, None]),
    "product over channels": _apply(lambda x: x.sigmoid().prod(1, keepdim=True) + x),
    "largest and smallest": _apply(lambda x: torch.stack([x.amax(1), x.amin(1), x.max(1)[0], x.median(1)[0]], 1)),
    "argmax as one-hot": _apply(lambda x: f.one_hot(x.argmax(1), CHANNELS).permute(0, 3, 1, 2).float()),
    "where and comparisons": _apply(lambda x: torch.where((x > 0.3) & ~(x >= 1), x, -x.exp())),
    "masked fill": _apply(lambda x: x.masked_fill(x < 0, -0.5)),
    "log-sum-exp": _apply(lambda x: x.logsumexp(1, keepdim=True) + x),
    "cumulative sum": _apply(lambda x: x.cumsum(dim=2) / 10),
    "highest three channels": _apply(lambda x: x.topk(3, dim=1)[0]),
    # Moving data
    "flip": _apply(lambda x: x.flip(3) + x.flip((1, 2))),
    "roll": _apply(lambda x: x.roll((3, -2), (2, 3))),
    "chosen channels": _apply(lambda x: x[:, [3, 1, 1, 7]] + x.index_select(1, torch.tensor([0, 2, 4, 6]))),
    "strided slices": _apply(lambda x: x[:, ::2, 1::2, ::3]),
    "written into a part": _apply(blocks.written_into_a_part),
    "written into one channel": _apply(blocks.written_into_one_channel),
    "part of a list of layers": blocks.PartOfList,
    "stack and unbind": _apply(lambda x: torch.stack(x.unbind(1)[::-1], dim=2).permute(0, 2, 1, 3)),
    "select and unsqueeze": _apply(lambda x: x.select(1, 2).unsqueeze(1) * x + x[:, :, 0, 0, None, None]),
    "repeat": _apply(lambda x: x[:, :1].repeat(1, 3, 1, 1) + x.mean(1, True).repeat_interleave(3, dim=1)),
    "unflatten": _apply(lambda x: x.unflatten(1, (2, 4)).sum(1)),
    "height and width exchanged": _apply(lambda x: x.transpose(2, 3).relu().transpose(2, 3)),
    "einsum over channels": _apply(lambda x: torch.einsum("bchw,kc->bkhw", x, torch.linspace(-1, 1, 40).view(5, 8))),
    "einsum of two maps": _apply(lambda x: torch.einsum("bchw,bcHw->bhwH", x, x.sigmoid()).permute(0, 3, 1, 2)),
    "view as channels": _apply(lambda x: x.reshape(len(x), 32, *(side // 2 for side in x.shape[2:]))),
    **MASKED_LAYERS,
    **MORE_LAYERS,
}
