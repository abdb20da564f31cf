"""Reads which layers a Keras file asks for, before Keras builds any: some open other files, or run code of the file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchseg.record import plain_json

_LIMIT_BYTES = 64 * 2**20  # of the description; that of a network of a thousand layers takes 1 MB
_CONFIG = "config.json"
_MODULES = (
    "builtins", "keras", "keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers",
    "keras.layers", "keras.mixed_precision", "keras.models", "keras.ops", "keras.quantizers", "keras.random",
    "keras.regularizers",
)  # fmt: skip
_PRIVATE = (
    "keras.src.activations", "keras.src.constraints", "keras.src.dtype_policies", "keras.src.initializers",
    "keras.src.layers", "keras.src.models", "keras.src.ops", "keras.src.quantizers", "keras.src.regularizers",
    "keras.src.random",
)  # fmt: skip
_OTHER_CODE = {
    "__lambda__", "Lambda",  # bytecode of Python
    "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",  # networks of other libraries, some with their code
    "StringLookup", "IntegerLookup", "TextVectorization", "FeatureSpace",  # read lists out of files
}  # fmt: skip


def check_keras_file(path: Path) -> None:
    """Refuses a Keras file with layers that run code, open other files or do not come from Keras's own layers.

    Raises:
        ValueError: with the name of the layer, or if the file has no readable description.
    """
    try:
        config = plain_json(_description(path))
        found = list(_classes(config))
    except (KeyError, OSError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise ValueError(
            f"Keras cannot open {path}: it has no readable description ({reason}); save it again"
        ) from error
    for module, name in found:
        if name in _OTHER_CODE:
            raise ValueError(
                f"{path} has the layer {name}, which runs other code or opens other files; nothing of the model has "
                "run: replace the layer by those of keras.layers or keras.ops and save the model again"
            )
        if module is not None and not _is_known(module):
            raise ValueError(
                f"{path} has '{name}' of {module}, which is not one of Keras's layers; nothing of the model has run: "
                "if it is a layer of your own, save the model as a folder with model.export() and give that"
            )


def _is_known(module: str) -> bool:
    return module in _MODULES or any(module == each or module.startswith(f"{each}.") for each in _PRIVATE)


def _description(path: Path) -> str:
    if path.suffix.lower() == ".keras":
        with zipfile.ZipFile(path) as archive, archive.open(_CONFIG, "r") as part:
            content = part.read(_LIMIT_BYTES + 1)
    else:
        import h5py

        with h5py.File(path, "r") as file:
            content = file.attrs["model_config"]
    if len(content) > _LIMIT_BYTES:
        raise ValueError(f"the description has more than {_LIMIT_BYTES} bytes")
    return content.decode("utf-8") if isinstance(content, bytes) else str(content)


def _classes(config: Any) -> Iterator[tuple[str | None, str]]:
    """Module, if given, and name of every class or function that a description names."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if "class_name" in value:
                module, name = value.get("module"), str(value["class_name"])
                is_function = name == "function" and isinstance(value.get("config"), str)
                yield None if module is None else str(module), str(value["config"]) if is_function else name
