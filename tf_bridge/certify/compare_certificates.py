"""Compares a stored certificate with one that was made again from the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tf_bridge.certify.verdict import interval_statement
from torchseg.modelfile.certificate import CERTIFICATE_VERSION, TOO_FEW
from torchseg.modelfile.precision import Precision

_SAME = (
    "file", "sha256", "size_bytes", "checkpoint_sha256", "format", "precision", "layout", "inputs", "outputs",
    "preprocessing", "thresholds",
)  # fmt: skip
_SHARE = 1e-3  # by which agreement and IoU may differ between two processors
_LOGITS = 0.25  # of the larger value, for errors of logits, which are largest errors or close to rounding
_INTERVAL = 1e-2  # by which the ends of an interval may differ, which one image moves more than it moves the mean
_LAYERS, _SMALL = 0.5, 1e-5  # errors of layers, as a share of the larger one, or less than is worth comparing
NOISE = 1e-4  # of the logit range: float kernels of two processors differ by as much
_SINCE_LAYERS = ("layers", "standard_limits")  # entries that versions 1 and 2 do not have
PACKED = ("packed_from", "times_smaller")  # entries of packed files alone
_WORST = {"layer": None, "error": None}
_OF_LAYERS = {  # all entries that `Proof.numbers` may have
    "weights": dict.fromkeys(("checked", "worst_layer", "share_of_limit")),
    "float_layers": None,
    "ranges": dict.fromkeys(("checked", "wrong")),
    "arithmetic": {
        **dict.fromkeys(("checked", "noise_ratio")),
        **dict.fromkeys(("steps", "share_of_range", "steps_of_a_channel", "share_of_a_channel"), _WORST),
    },
    "not_checked_because_of": None,
}
_EXACT = ("weights.checked", "float_layers")  # every layer with weights counts, whatever the library
_OF_FILE = ("name", "input_shape", "layout", "gives_classes")  # what a runtime reports of itself on any machine
_HAS_FLOAT = (Precision.INT8, Precision.FP16)  # files that may keep layers in float

Certificate = Mapping[str, Any]


def recorded_lies(recorded: Certificate, fresh: Certificate) -> list[str]:
    """What a stored certificate says that is not so, one sentence each.

    Numbers may differ as far as two processors do. An entry that an earlier version of certificates lacks is not
    compared.

    Args:
        recorded: from `read_certificate`.
        fresh: made again, from `make_certificate`.
    """
    lies = [sentence(name, recorded.get(name), fresh[name]) for name in _SAME if recorded.get(name) != fresh[name]]
    lies += [*_unknown_entries(recorded, fresh), *_other_runtimes(recorded, fresh), *_other_float_layers(recorded)]
    if recorded["images"] != fresh["images"]:
        lies.append("the validation images are not those of the certificate")
    calibrated = fresh["calibration_images"]["count"] > 0
    if calibrated and recorded["calibration_images"] != fresh["calibration_images"]:
        lies.append("its calibration images are not those that the run's training split gives")
    if not calibrated and recorded["calibration_images"]["count"]:
        lies.append("it names calibration images, of which only int8 files have any")
    lies += _other_numbers(recorded["differences"], fresh["differences"])
    if recorded["version"] == CERTIFICATE_VERSION and recorded.get("standard_limits") != fresh["standard_limits"]:
        lies.append(sentence("standard_limits", recorded.get("standard_limits"), fresh["standard_limits"]))
    if recorded["version"] == CERTIFICATE_VERSION and fresh.get("layers") and not recorded.get("layers"):
        lies.append("it says nothing of the file's layers; export the file again")
    lies += _other_words(recorded, fresh)
    if recorded.get("layers") and fresh.get("layers"):
        lies += _other_layers(recorded["layers"], fresh["layers"])
    return lies + _other_verdict(recorded, fresh)


def not_measured_again(recorded: Certificate, fresh: Certificate) -> dict[str, Any]:
    """What a certificate records that nothing here can measure again, by name.

    That is what differs between machines and versions of libraries (of runtimes, their version, threads, arithmetic and
    fast path; of layers, counts and names), and a latency. What is the same here is left out.

    Args:
        recorded: from `read_certificate`, without lies.
        fresh: made again, from `make_certificate`.
    """
    here = dict(_values(fresh, "runtimes")) | dict(_values(fresh, "layers"))
    found = {
        name: value
        for part in ("runtimes", "layers")
        for name, value in _values(recorded, part)
        if value != here.get(name) and not (isinstance(value, float) and isinstance(here.get(name), float))
    }
    if recorded.get("float_latency_ratio") is not None:
        found["float_latency_ratio"] = recorded["float_latency_ratio"]
    return found


def _unknown_entries(recorded: Certificate, fresh: Certificate) -> Iterator[str]:
    """Entries that no certificate of the recorded version has."""
    if recorded["version"] < CERTIFICATE_VERSION:
        for name in _SINCE_LAYERS:
            if name in recorded:
                yield f"it says version {recorded['version']}, which has no entry {name}"
    if recorded.get("layers") and not fresh.get("layers"):
        yield "it says something of layers, which are not compared for such a file"
    packed = PACKED if ".packed." in str(recorded.get("file")) else ()
    known = {**dict.fromkeys(packed), **fresh, "layers": _OF_LAYERS if fresh.get("layers") else None}
    for name in _not_in(known, recorded):
        yield f"it has an entry {name}, which certificates do not have"


def _not_in(known: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if name not in known:
            yield path + name
        elif isinstance(value, Mapping) and isinstance(known[name], Mapping):
            yield from _not_in(known[name], value, f"{path}{name}.")


def _other_runtimes(recorded: Certificate, fresh: Certificate) -> Iterator[str]:
    """Runtimes that do not run such a file or network; their versions and threads are those of another machine."""
    here = dict(_values(fresh, "runtimes"))
    fixed = _OF_FILE if recorded["version"] == CERTIFICATE_VERSION else _OF_FILE[:1]
    for name, value in _values(recorded, "runtimes"):
        if name.rpartition(".")[2] in fixed and name in here and value != here[name]:
            yield sentence(name, value, here[name])


def _other_float_layers(recorded: Certificate) -> Iterator[str]:
    """Layers in float, and what they cost, of a file that cannot have any."""
    layers, ratio = recorded.get("float_layers"), recorded.get("float_latency_ratio")
    if layers and recorded["precision"] not in _HAS_FLOAT:
        yield f"it names float layers ({', '.join(layers)}), of which only int8 and fp16 files have any"
    if ratio is not None and not (layers and recorded["precision"] == Precision.INT8 and ratio > 0):
        yield f"it says float latency ratio {ratio:.6g}, of which only an int8 file with layers in float has one"


def _other_verdict(recorded: Certificate, fresh: Certificate) -> list[str]:
    """Whether a certificate says that the file fails, in one place or another; the file itself is judged elsewhere."""
    said = recorded["verdict"]
    if said.get("passed") is not True:
        return ["it says itself that the file fails"]
    if failures := said.get("failures"):
        return [f"it lists what fails, but says that the file passes: {failures[0]}"]
    if recorded.get("first_difference") and not fresh.get("first_difference"):
        return ["it names a layer from which on the file differs, but the file does not"]
    if (beyond := said.get("beyond_standard")) and not fresh["verdict"].get("beyond_standard"):
        return [f"it says that the file is beyond the standard limits, but it is not: {beyond[0]}"]
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
        lies += [sentence(key, *pair) for key, pair in pairs.items() if not _near(key, *pair, logit_range=span)]
    return lies


def _other_interval(old: Any, new: Any) -> list[str]:
    """Whether an interval, two shares or None, is another one."""
    if old is None or new is None:
        same = old is new
    else:
        same = len(old) == len(new) and all(abs(one - two) <= _INTERVAL for one, two in zip(old, new, strict=True))
    return [] if same else [sentence("miou_drop_interval", old and list(old), new and list(new))]


def _other_words(recorded: Certificate, fresh: Certificate) -> list[str]:
    """Whether the words on accuracy are not those of the certificate's own numbers, or are missing."""
    said, numbers = recorded["verdict"].get("accuracy"), recorded["differences"]
    needed = fresh["verdict"].get("accuracy")
    if recorded["version"] == CERTIFICATE_VERSION and bool(said) != bool(needed):
        return [f"it says '{said}', by which such a file is not judged" if said else "it says nothing of accuracy"]
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
        part = "weights." if name == "weights" else ""
        return [lie for key in shared for lie in _other_layers(recorded[key], fresh[key], part + key)]
    if name in _EXACT or isinstance(recorded, Mapping) or isinstance(fresh, Mapping):
        near = recorded == fresh
    elif isinstance(fresh, float):
        near = isinstance(recorded, int | float) and abs(recorded - fresh) <= max(
            _LAYERS * max(recorded, fresh), _SMALL
        )
    else:  # other counts, and names, differ between versions of libraries
        near = True
    return [] if near else [sentence(f"{name} of its layers", recorded, fresh)]


def _near(name: str, old: Any, new: Any, *, logit_range: float) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return bool(old == new)
    of_logits = name.endswith(("_error", "_range"))
    allowed = max(_LOGITS * abs(new), NOISE * logit_range) if of_logits else _SHARE
    return abs(old - new) <= allowed


def _values(certificate: Certificate, part: str) -> Iterator[tuple[str, Any]]:
    """The values of a part of a certificate as JSON has them, by path, e.g. `runtimes.file.version`."""

    def inside(values: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(values, Mapping):
            for name, value in values.items():
                yield from inside(value, f"{path}.{name}")
        else:
            yield path, list(values) if isinstance(values, tuple) else values

    return inside(certificate.get(part), part)


def shown(value: Any) -> str:
    """A value of a certificate as messages show it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def sentence(name: str, old: Any, new: Any) -> str:
    """Says that the entry `name` of a certificate is `old`, but should be `new`."""
    texts = [shown(each) for each in (old, new)]
    if max(map(len, texts)) > 60:
        return f"its {name.replace('_', ' ')} is not that of the file"
    return f"it says {name.replace('_', ' ')} {texts[0]}, but it is {texts[1]}"
