"""What kind of file weights are in, told from its content, and whether its archive is safe to unpack."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "pickle", "torchscript", "exported"]
_FEW_BYTES = 2**26  # an archive of weights that is smaller may hold anything: memory cannot run out
_MOST_UNPACKED = 4  # times its size on disk; PyTorch does not compress tensors
_SAFETENSORS_MARK = b'{"'
_OTHER_MODELS = {
    ".onnx": "score and predict take ONNX files as they are",
    ".tflite": "import_tf converts TFLite files",
    ".keras": "import_tf converts Keras files",
    ".h5": "import_tf converts Keras files",
    ".pb": "import_tf converts the folder of a SavedModel",
}


def kind_of(path: Path) -> Kind:
    """The kind of a file with weights.

    Raises:
        ValueError: if the file is missing, empty, of another kind, or an archive that would unpack to much more than
            its size.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give the weights of a network, e.g. a .pth or .safetensors file")
    if advice := _OTHER_MODELS.get(path.suffix.lower()):
        raise ValueError(f"{path} is no file of PyTorch weights; {advice}")
    with path.open("rb") as file:
        start = file.read(10)
    if not start:
        raise ValueError(f"{path} is empty; copy it again")
    if path.suffix == ".safetensors" or start[8:] == _SAFETENSORS_MARK:
        return "safetensors"
    return _kind_of_archive(path) if start[:2] == b"PK" else "pickle"


def is_text(path: Path) -> bool:
    """Whether a file is a text that is no pickle either, of which an old form consists of letters."""
    if path.stat().st_size > _FEW_BYTES:
        return False
    content = path.read_bytes()
    try:
        if any(letter < "\t" for letter in content.decode()):
            return False
        for _ in pickletools.genops(content):
            pass
    except UnicodeDecodeError:
        return False
    except Exception:  # whatever a text leads to that is no pickle
        return True
    return False


def _kind_of_archive(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path} is a damaged archive ({error}); copy it again") from error
    unpacked, stored = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > max(_FEW_BYTES, _MOST_UNPACKED * stored):
        raise ValueError(
            f"{path} has {stored:,} bytes and would unpack to {unpacked:,}; PyTorch writes no such files, so it is not "
            "opened. Save the weights again with torch.save or as safetensors"
        )
    names = {entry.filename.partition("/")[2] or entry.filename for entry in entries}
    if {"archive_format", "models/model.json"} & names or "serialized_exported_program.json" in {
        entry.filename for entry in entries
    }:
        return "exported"
    return "torchscript" if "constants.pkl" in names else "pickle"
