"""Compares a stored certificate with one that was made again from the same file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_bridge.certify.verdict import interval_statement
from torchseg.modelfile.certificate import CERTIFICATE_VERSION, TOO_FEW

_SAME = (
    "file", "sha256", "size_bytes", "checkpoint_sha256", "format", "precision", "layout", "inputs", "outputs",
    "preprocessing", "thresholds",
)  # fmt: skip
_SHARE = 1e-3  # by which agreement and IoU may differ between two processors
_LOGITS = 0.25  # of the larger value, for errors of logits, which are largest errors or close to rounding
_INTERVAL = 1e-2  # by which the ends of an interval may differ, which one image moves more than it moves the mean
_LAYERS, _SMALL = 0.5, 1e-5  # errors of layers, as a share of the larger one, or less than is worth comparing
_NOISE = 1e-4  # of the logit range: float kernels of two processors differ by as much

Certificate = Mapping[str, Any]


def recorded_lies(recorded: Certificate, fresh: Certificate) -> list[str]:
    """What a stored certificate says that is not so, one sentence each.

    Numbers may differ as far as two processors do. An entry that an earlier version of certificates lacks is not
    compared.

    Args:
        recorded: from `read_certificate`.
        fresh: made again, from `make_certificate`.
    """
    lies = [_sentence(name, recorded.get(name), fresh[name]) for name in _SAME if recorded.get(name) != fresh[name]]
    if recorded["images"] != fresh["images"]:
        lies.append("the validation images are not those of the certificate")
    calibrated = fresh["calibration_images"]["count"] > 0
    if calibrated and recorded["calibration_images"] != fresh["calibration_images"]:
        lies.append("its calibration images are not those that the run's training split gives")
    if not calibrated and recorded["calibration_images"]["count"]:
        lies.append("it names calibration images, of which only int8 files have any")
    lies += _other_numbers(recorded["differences"], fresh["differences"])
    if recorded["version"] == CERTIFICATE_VERSION and recorded.get("standard_limits") != fresh["standard_limits"]:
        lies.append(_sentence("standard_limits", recorded.get("standard_limits"), fresh["standard_limits"]))
    if recorded["version"] == CERTIFICATE_VERSION and fresh.get("layers") and not recorded.get("layers"):
        lies.append("it says nothing of the file's layers; export the file again")
    lies += _other_words(recorded) + _other_layers(recorded.get("layers"), fresh.get("layers"))
    return lies + _other_verdict(recorded, fresh)


def float_layer_lies(recorded: Certificate, found: tuple[str, ...]) -> list[str]:
    """Layers with float weights in an int8 file that its certificate does not name, as one sentence.

    Args:
        recorded: from `read_certificate`.
        found: layers whose weights the file stores as floats, from `Proof.float_layers`.
    """
    named = {layer for entry in recorded["float_layers"] for layer in entry.split(", ")}
    if hidden := [layer for layer in found if layer not in named]:
        return [f"the file keeps {', '.join(hidden)} in float, which its certificate does not say"]
    return []


def _other_verdict(recorded: Certificate, fresh: Certificate) -> list[str]:
    """Whether a certificate says that the file fails, in one place or another; the file itself is judged elsewhere."""
    said = recorded["verdict"]
    if said.get("passed") is not True:
        return ["it says itself that the file fails"]
    if failures := said.get("failures"):
        return [f"it lists what fails, but says that the file passes: {failures[0]}"]
    if recorded.get("first_difference") and not fresh.get("first_difference"):
        return ["it names a layer from which on the file differs, but the file does not"]
    return []


def _other_numbers(recorded: Certificate, fresh: Certificate) -> list[str]:
    lies = []
    for name, value in fresh.items():
        old = recorded.get(name)
        if name == "worst_image" or (old is None and name not in recorded):
            continue
        if name == "miou_drop_interval":
            lies += _other_interval(old, value)
            continue
        if isinstance(value, Mapping):
            known = old if isinstance(old, Mapping) else {}
            pairs = {f"{name} of {key}": (known.get(key), value[key]) for key in value}
        else:
            pairs = {name: (old, value)}
        span = fresh["logit_range"] or 0.0
        lies += [_sentence(key, *pair) for key, pair in pairs.items() if not _near(key, *pair, logit_range=span)]
    return lies


def _other_interval(old: Any, new: Any) -> list[str]:
    """Whether an interval, two shares or None, is another one."""
    if old is None or new is None:
        same = old is new
    else:
        same = len(old) == len(new) and all(abs(one - two) <= _INTERVAL for one, two in zip(old, new, strict=True))
    return [] if same else [_sentence("miou_drop_interval", old and list(old), new and list(new))]


def _other_words(recorded: Certificate) -> list[str]:
    """Whether the words on accuracy are not those of the certificate's own numbers."""
    said, numbers = recorded["verdict"].get("accuracy"), recorded["differences"]
    if not said or "miou_drop_interval" not in numbers:
        return []
    wanted = interval_statement(numbers["images"], numbers["miou_drop_interval"])
    if said == wanted or (said.startswith(TOO_FEW) and wanted.startswith(TOO_FEW)):
        return []
    return [f"it says '{said}', but its numbers say '{wanted}'"]


def _other_layers(recorded: Any, fresh: Any, name: str = "layers") -> list[str]:
    """Errors of layers that are not those of the file; of what only one of them has, nothing is said."""
    if isinstance(recorded, Mapping) and isinstance(fresh, Mapping):
        shared = [key for key in fresh if key in recorded]
        return [lie for key in shared for lie in _other_layers(recorded[key], fresh[key], key)]
    if not isinstance(recorded, float) or not isinstance(fresh, float):  # counts differ between versions of libraries
        return []
    near = abs(recorded - fresh) <= max(_LAYERS * max(recorded, fresh), _SMALL)
    return [] if near else [_sentence(f"{name} of its layers", recorded, fresh)]


def _near(name: str, old: Any, new: Any, *, logit_range: float) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return bool(old == new)
    of_logits = name.endswith(("_error", "_range"))
    allowed = max(_LOGITS * abs(new), _NOISE * logit_range) if of_logits else _SHARE
    return abs(old - new) <= allowed


def _sentence(name: str, old: Any, new: Any) -> str:
    shown = [f"{each:.6g}" if isinstance(each, float) else str(each) for each in (old, new)]
    if max(map(len, shown)) > 60:
        return f"its {name.replace('_', ' ')} is not that of the file"
    return f"it says {name.replace('_', ' ')} {shown[0]}, but it is {shown[1]}"
