"""What a certificate says that takes the file itself to judge: layers in float, the worst image, packing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from tf_bridge.certify.compare_certificates import NOISE, PACKED, Certificate, not_measured_again, sentence, shown
from tf_bridge.certify.parity import Parity
from torchseg.modelfile.model_file import ModelFile, sha256_of
from torchseg.modelfile.precision import Precision

_SIZE = 1e-6  # share by which a ratio of sizes may differ, which is rounding
_AGREEMENT = 1e-2  # by which that of one image may differ between two processors
_ERROR = 0.5  # of the largest error of logits that another image may have and still be taken for the worst


def not_checked(recorded: Certificate, fresh: Certificate, path: Path) -> list[str]:
    """What a certificate without lies records and `verify` cannot check, each entry with its value.

    Args:
        recorded: from `read_certificate`.
        fresh: made again, from `make_certificate`.
        path: of the model file.
    """
    found = not_measured_again(recorded, fresh)
    if recorded["float_layers"] and "weights" not in (fresh.get("layers") or {}):
        found["float_layers"] = ", ".join(recorded["float_layers"])
    if _packed_source(recorded, path) is None:
        found |= {name: recorded[name] for name in PACKED if name in recorded}
    return [f"{name} {shown(value)}" for name, value in found.items()]


def packed_lies(recorded: Certificate, path: Path) -> list[str]:
    """Whether a packed file is not as many times smaller as its certificate says, if what it was made from is there."""
    source = _packed_source(recorded, path)
    if source is None:
        return []
    said, found = recorded.get("times_smaller"), ModelFile(source).size_bytes / ModelFile(path).size_bytes
    near = isinstance(said, int | float) and abs(said - found) <= _SIZE * found
    return [] if near else [sentence("times_smaller", said, found)]


def _packed_source(recorded: Certificate, path: Path) -> Path | None:
    """The file beside a packed one that it was made from; None if it is gone or another one by now."""
    said = recorded.get("packed_from")
    if not isinstance(said, Mapping) or Path(name := str(said.get("file"))).name != name:
        return None
    source = path.with_name(name)
    return source if source.is_file() and sha256_of(source) == said.get("sha256") else None


def float_layer_lies(recorded: Certificate, stored: Mapping[str, str]) -> list[str]:
    """Layers whose weights an int8 or fp16 file keeps in float and its certificate does not name, and the reverse.

    Args:
        recorded: from `read_certificate`.
        stored: dtype of the weights of each layer in the file, from `stored_dtypes`.
    """
    named = {layer for entry in recorded["float_layers"] for layer in entry.split(", ")}
    floats = ("float32",) if recorded["precision"] == Precision.FP16 else ("float32", "float16")
    hidden = [layer for layer, dtype in stored.items() if dtype in floats and layer not in named]
    rounded = [f"{layer} as {dtype}" for layer, dtype in stored.items() if dtype not in floats and layer in named]
    lies = [f"the file keeps {', '.join(hidden)} in float, which its certificate does not say"] if hidden else []
    lies += [f"its float layers are not those of the file, which stores {', '.join(rounded)}"] if rounded else []
    return lies


def worst_image_lies(
    recorded: Certificate, fresh: Certificate, names: Collection[str], parity_on: Callable[[str], Parity] | None = None
) -> list[str]:
    """Whether a certificate calls an image the worst that was not compared, or on which file and network clearly agree.

    Which of several images is the worst may differ between two processors, where all agree about as well.

    Args:
        recorded: from `read_certificate`.
        fresh: made again, from `make_certificate`.
        names: of the images compared.
        parity_on: compares file and network on the image of this name alone; None where that cannot be done.
    """
    said, worst = recorded["differences"].get("worst_image"), fresh["differences"]["worst_image"]
    if said == worst or "worst_image" not in recorded["differences"]:
        return []
    if said not in names:
        return [f"it says worst image {said}, which is none of the images compared"]
    if parity_on is None:
        return []
    named, least = parity_on(said), parity_on(worst)
    better = named.argmax_agreement > least.argmax_agreement + _AGREEMENT
    if named.argmax_agreement == least.argmax_agreement and None not in (named.max_abs_error, least.max_abs_error):
        error, largest = float(named.max_abs_error or 0), float(least.max_abs_error or 0)
        better |= error < _ERROR * largest - NOISE * least.logit_range
    return [sentence("worst_image", said, worst)] if better else []
