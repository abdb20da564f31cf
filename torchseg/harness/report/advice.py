"""Explains the size and latency of a model file in sentences, from its row in scores.csv and its profile."""

from __future__ import annotations

from collections.abc import Collection

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.report.run_record import Row, number
from torchseg.plural import counted

_CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "QUANTIZE", "DEQUANTIZE"}
_CONVERSIONS |= {"CAST", "Convert", "FakeQuantize"}
_COPIES = {"ReorderInput", "ReorderOutput", "Reorder", "Transpose", "TRANSPOSE"}
_RESIZES = {"Resize", "Upsample", "Interpolate", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
_FLOAT_CONVOLUTIONS = {"Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose"}
_WORTH_SAYING, _MUCH = 0.1, 0.3  # share of the time
# ONNX Runtime's 8-bit convolutions take as long for 32 channels as for 64; with 8 channels they mostly move pixels.
_THIN = 16


def explain(row: Row) -> list[str]:
    """Known causes that apply to one row of scores.csv, each with a remedy; empty if none applies."""
    if row.get("error"):
        return []
    arithmetic, fast_path = row.get("arithmetic", ""), row.get("fast_path", "") or "the fast path"
    sparsity = number(row, "sparsity") or 0.0
    leftovers = row.get("leftovers", "").split()
    findings = {
        "Half-precision weights are expanded to float32 at load: that saves bytes on disk and no time.": (
            arithmetic == "float32 from float16"
        ),
        "8-bit weights are expanded to float32 at load: that saves bytes on disk and no time.": (
            arithmetic == "float32 from int8"
        ),
        "ONNX Runtime has no fast kernel for dynamically quantized convolutions, which are slower than fp32; "
        "export int8 with calibration instead.": arithmetic == "int8 (dynamic)" and row.get("runtime") == "onnxruntime",
        f"{counted(len(leftovers), 'operator')} fell out of {fast_path} ({', '.join(sorted(set(leftovers)))}): "
        "every one costs a copy out and back in; replace them or use a static shape.": bool(leftovers),
        f"{100 * sparsity:.0f} % of the weights are zero: files compress better, but run no quicker; "
        "remove whole channels for speed.": sparsity >= 0.3,
        "The median time is far above the minimum: something else used the machine, or its clock changed. Compare "
        "files by their time ratio, which is of predictions side by side, rather than by minima, and time it again.": (
            row.get("noisy") == "true"
        ),
    }
    return [sentence for sentence, applies in findings.items() if applies]


def explain_profile(profile: Profile, *, arithmetic: str) -> list[str]:
    """Findings from the layers' times, in addition to `explain`; empty if convolutions take nearly all of the time."""
    conversions, copies, resizes = (_share(profile, kinds) for kinds in (_CONVERSIONS, _COPIES, _RESIZES))
    thin = _share_of_thin(profile)
    floats = [layer for layer in profile.layers if _computes_in_float(layer)] if arithmetic == "int8" else []
    findings = {
        f"Converting between number formats takes {100 * conversions:.0f} % of the time: every layer that cannot "
        "compute in 8 bits costs one conversion before it and one after.": conversions >= _WORTH_SAYING,
        f"Copying between memory layouts takes {100 * copies:.0f} % of the time: layers that want channels first "
        "and last alternate.": copies >= _WORTH_SAYING,
        f"Resizing takes {100 * resizes:.0f} % of the time and multiplies next to nothing: resize fewer channels, "
        "after the convolution that narrows them, or by nearest neighbour.": resizes >= _WORTH_SAYING,
        f"8-bit convolutions of at most {_THIN} channels take {100 * thin:.0f} % of the time: ONNX Runtime's are made "
        "for more; take the int8 file of TFLite, or this one in OpenVINO.": thin >= _MUCH,
        f"Still computed in float32 in this 8-bit file: {counted(len(floats), 'convolution')} "
        f"({', '.join(layer.name for layer in floats[:3])}). Quantize what is left.": bool(floats),
    }
    return [sentence for sentence, applies in findings.items() if applies]


def _share(profile: Profile, kinds: Collection[str]) -> float:
    """Share of the time that layers of these kinds take, in [0, 1]."""
    taken = sum(layer.milliseconds for layer in profile.layers if layer.kind in kinds)
    return taken / profile.total_ms if profile.total_ms else 0.0


def _share_of_thin(profile: Profile) -> float:
    """Share of the time, in [0, 1], that ONNX Runtime's 8-bit convolutions with few channels take.

    The note of such a layer ends in its number of channels.
    """
    convolutions = [layer for layer in profile.layers if layer.kind == "QLinearConv" and "x" in layer.note]
    thin = [layer.milliseconds for layer in convolutions if int(layer.note.rpartition("x")[2]) <= _THIN]
    return sum(thin) / profile.total_ms if thin else 0.0


def _computes_in_float(layer: LayerCost) -> bool:
    return layer.kind in _FLOAT_CONVOLUTIONS or (layer.kind == "Convolution" and "f32" in layer.note.lower())
