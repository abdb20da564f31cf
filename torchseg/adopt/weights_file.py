"""Reads the tensors of a checkpoint of any project; nothing in the file is run, unless the user trusts its hash."""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path, PosixPath, PureWindowsPath, WindowsPath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from torchseg.adopt.archive import Kind, is_text, kind_of
from torchseg.adopt.program import load_script
from torchseg.adopt.shards import INDEX, read_shards
from torchseg.record import json_in
from torchseg.spec import nearest
from torchseg.trusted_code import is_trusted, sha256_of_bytes

# Where projects keep the state dict among other entries, the first that is there wins; averaged weights come last.
LEVELS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "module"),
    *("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema"),
)
_IN_FOLDERS = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
_PROGRAMS = ("torchscript", "exported")
_CONFIG = "config.json"
_DEEPEST = 3  # levels of entries in which a state dict is looked for
# Harmless types beside the weights: flags, paths, dates, and NumPy numbers and arrays. All of them only hold values.
_ALLOWED: list[Any] = [
    argparse.Namespace,
    *(PosixPath, PureWindowsPath, WindowsPath, date, datetime, timedelta, timezone),
    np.dtype,
    np.ndarray,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    *(
        (type(np.float64(0)).__reduce__(np.float64(0))[0], f"numpy.{core}.multiarray.scalar")
        for core in ("core", "_core")
    ),
    *((np.empty(0).__reduce__()[0], f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """What was read.

    Attributes:
        path: of the file.
        tensors: by name, on the CPU.
        key: entry of the file that they were in; empty if they were the whole file.
        other_keys: further entries with tensors.
        config: `config.json` beside the file; empty if there is none.
        kind: of the file.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    key: str = ""
    other_keys: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "pickle"


def read_weights(path: Path, *, key: str = "") -> WeightsFile:
    """Reads a file with weights, or the folder of one.

    Args:
        path: `.pth`, `.pt`, `.bin`, `.ckpt`, `.safetensors`, TorchScript, `.pt2`, or a folder that `save_pretrained`
            wrote, with one file of weights or with an index and shards.
        key: entry with the state dict, with dots for nested ones. Default: found by its usual names.

    Raises:
        ValueError: if the file is missing or damaged, holds no tensors, or holds code or objects that reading would
            run; the message says how to turn it into a state dict.
    """
    file, config = _file_in(path) if path.is_dir() else (path, {})
    if file.name.endswith(INDEX) and file.is_file():
        tensors = read_shards(file, _shard)
        safe = file.name.endswith(f".safetensors{INDEX}")
        return WeightsFile(path=file, tensors=tensors, config=config, kind="safetensors" if safe else "pickle")
    kind = kind_of(file)
    if kind in _PROGRAMS:
        return _read_program(file, kind)
    return replace(_state_dict_in(_content(file, kind), file, key), config=config, kind=kind)


def _content(path: Path, kind: Kind) -> Any:
    try:
        return load_file(path) if kind == "safetensors" else _unpickled(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no readable safetensors file ({error}); copy or download it again") from error


def _shard(path: Path) -> Any:
    kind = kind_of(path)
    if kind in _PROGRAMS:
        raise ValueError(f"{path} is a program of PyTorch; expected a part of the weights: copy the folder again")
    return _content(path, kind)


def _file_in(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    names = (*_IN_FOLDERS, *(f"{name}{INDEX}" for name in _IN_FOLDERS))
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise ValueError(f"{folder} has no weights; a folder needs {' or '.join(_IN_FOLDERS[:2])}")
    config = json_in(folder / _CONFIG, remedy="copy the folder again") if (folder / _CONFIG).is_file() else {}
    return found[0], config if isinstance(config, dict) else {}


def _unpickled(path: Path) -> Any:
    """The content of a file of `torch.save`, if it holds nothing but tensors and plain values."""
    try:
        with torch.serialization.safe_globals(_ALLOWED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise whatever the damaged place leads to
        reason = str(error).replace("\n", " ")
        _, found, unsafe = reason.partition("Unsupported global: GLOBAL ")
        if not found and "nsupported" not in reason and "Weights only load failed" not in reason:
            raise ValueError(
                f"{path} is no readable PyTorch file ({reason[:200]}); copy or download it again"
            ) from error
        if is_text(path):
            raise ValueError(f"{path} is a text, not weights; give a file such as .pth or .safetensors") from error
        holds = f"the object {unsafe.split(' ')[0]}" if found else "objects"
        raise ValueError(
            f"{path} holds {holds} besides tensors, and loading it could run any code; nothing of it has run. If you "
            "trust its origin, turn it into a state dict where the code of that project is installed: "
            f"{_one_liner(path)}"
        ) from error


def _one_liner(path: Path) -> str:
    return (
        f"python -c \"import torch; m = torch.load('{path}', map_location='cpu', weights_only=False); "
        "m = m.get('state_dict') or m.get('model') or m if isinstance(m, dict) else m; "
        "m = m.state_dict() if hasattr(m, 'state_dict') else m; "
        "torch.save({k: v for k, v in m.items() if torch.is_tensor(v)}, 'weights.pth')\""
    )


def _state_dict_in(content: Any, path: Path, key: str) -> WeightsFile:
    """Finds the entry with the tensors."""
    found = dict(_state_dicts(content)) or dict(_state_dicts(_as_tensors(content)))
    if not found:
        kind = type(content).__name__
        raise ValueError(f"{path} holds a {kind} without tensors by name; give a file that holds a state dict")
    if key and key not in found:
        raise ValueError(
            f"--key is '{key}'{nearest(key, found)}; {path} has {', '.join(filter(None, found)) or 'none'}"
        )
    chosen = key or min(found, key=_rank)
    others = tuple(each for each in found if each != chosen)
    return WeightsFile(path=path, tensors=found[chosen], key=chosen, other_keys=others)


def _rank(key: str) -> tuple[int, int]:
    """The usual names first, in order; of equal ones the shallowest."""
    first, *_ = key.split(".")
    return (LEVELS.index(first) if first in LEVELS else 0 if not key else len(LEVELS)), key.count(".")


def _state_dicts(content: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every entry that holds tensors by name, the outermost of nested ones; optimizer states have no such names."""
    if isinstance(content, list | tuple):  # such as (epoch, state dict)
        content = {str(index): each for index, each in enumerate(content) if isinstance(each, Mapping)}
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    tensors = {name: each for name, each in content.items() if isinstance(name, str) and isinstance(each, Tensor)}
    if len(tensors) > 1 or (tensors and not any(isinstance(each, Mapping) for each in content.values())):
        yield key, tensors
        return
    for name, each in content.items():
        if isinstance(name, str) and "optimizer" not in name:
            yield from _state_dicts(each, f"{key}.{name}" if key else name, depth + 1)


def _as_tensors(content: Any, depth: int = 0) -> Any:
    """The content with tensors in place of NumPy's arrays."""
    if isinstance(content, np.ndarray) and content.dtype.kind in "fiub":
        return torch.from_numpy(np.array(content))
    if isinstance(content, Mapping) and depth <= _DEEPEST:
        return {name: _as_tensors(each, depth + 1) for name, each in content.items()}
    return content


def _read_program(path: Path, kind: Kind) -> WeightsFile:
    """Loads TorchScript or a program of torch.export; both can do what any code can, so their hash must be trusted."""
    content = path.read_bytes()
    sha256 = sha256_of_bytes(content)
    if not is_trusted(sha256):
        script = kind == "torchscript"
        state = f"torch.jit.load('{path}').state_dict()" if script else f"torch.export.load('{path}').state_dict"
        raise ValueError(
            f"{path} is {'TorchScript' if script else 'a program of torch.export'}, and loading it can run any code; "
            f"nothing of it has run. If you trust its origin, add --trust_code {sha256}, or save its weights alone: "
            f"python -c \"import torch; torch.save(dict({state}), 'weights.pth')\""
        )
    try:
        if kind == "torchscript":
            tensors = load_script(content).state_dict()
        else:
            tensors = dict(torch.export.load(io.BytesIO(content)).state_dict)
    except Exception as error:  # both raise whatever a damaged file leads to
        raise ValueError(f"{path} cannot be loaded by PyTorch {torch.__version__}: {error}") from error
    return WeightsFile(path=path, tensors=tensors, kind=kind)
