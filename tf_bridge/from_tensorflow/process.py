"""Imports a TensorFlow model in a child process, because TensorFlow may crash on a damaged file.

The child is `python -m tf_bridge.from_tensorflow.process FOLDER`; request, images, ONNX file and predictions are files
in that folder. Where the system allows, the child can write into no other folder and opens no connection.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tf_bridge.from_tensorflow.class_scores import ClassScores
from tf_bridge.from_tensorflow.convert import from_tensorflow
from tf_bridge.from_tensorflow.source import one_line, source_kind
from torchseg.modelfile.precision import Precision
from torchseg.processes.child_limits import limit_own_memory, memory_advice, memory_limit_bytes, time_limit_s
from torchseg.processes.exit_code import cause_of_end
from torchseg.record import build, read_json
from torchseg.spec import ImageSpec

Images = NDArray[np.float32]
_REMEDY = "import the model again"
_LIMIT_S = 3600  # the largest models that were tried take minutes
_REQUEST, _REPLY, _IMAGES, _ANSWERS, _MODEL = "request.json", "reply.json", "images.npy", "answers.npy", "model.onnx"


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What the parent asks for."""

    source: Path
    spec: ImageSpec
    notes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Reply:
    """What the child answers: an error, or what `ImportResult` says of the model."""

    error: str = ""
    kind: str = ""
    precision: str = ""
    scores: ClassScores | None = None


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """Result of the child process.

    Attributes:
        path: of the ONNX file.
        kind: `keras`, `saved_model` or `tflite`.
        precision: of the ONNX file.
        scores: meaning of the original model's outputs.
        version: of TensorFlow.
        answers: predictions of the original model for the images, `(B, K, H, W)`; None for a `.tflite` file, which a
            TFLite runtime can run.
    """

    path: Path
    kind: str
    precision: Precision
    scores: ClassScores
    version: str
    answers: Images | None


def import_apart(
    source: Path, spec: ImageSpec, images: Images, folder: Path, *, notes: Mapping[str, str]
) -> ImportResult:
    """Converts a model to ONNX and runs the original on the images, both in a child process.

    Args:
        source: Keras file, SavedModel folder or `.tflite` file.
        spec: size, normalisation and classes of the model's images.
        images: prepared with that spec, float32 `(B, C, H, W)`.
        folder: an empty folder, through which parent and child exchange files.
        notes: further metadata for the ONNX file.

    Raises:
        ValueError: if the model cannot be read or converted, or if the child process crashed.
        ImportError: if TensorFlow or tf2onnx is not installed.
    """
    source_kind(source)
    missing = [name for name in ("tensorflow", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"importing {source} needs {' and '.join(missing)}: install torchseg-compress[tf]")
    _check_unpacked(source)
    np.save(folder / _IMAGES, images)
    request = {"source": str(source.resolve()), "spec": spec.to_dict(), "notes": dict(notes)}
    (folder / _REQUEST).write_text(json.dumps(request), encoding="utf-8")
    _run_child(source, folder)
    path = folder / _REPLY
    reply = build(_Reply, read_json(path, remedy=_REMEDY), path=path, remedy=_REMEDY)
    if reply.error or reply.scores is None:
        raise ValueError(reply.error.replace(str(source.resolve()), str(source)))
    answers = folder / _ANSWERS
    return ImportResult(
        path=folder / _MODEL,
        kind=reply.kind,
        precision=Precision(reply.precision),
        scores=reply.scores,
        version=importlib.metadata.version("tensorflow"),
        answers=np.load(answers) if answers.is_file() else None,
    )


def _check_unpacked(source: Path) -> None:
    """Raises ValueError for a `.keras` file, a zip archive, that unpacks to more than a process may take."""
    if source.suffix.lower() != ".keras":
        return
    try:
        with zipfile.ZipFile(source) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{source} is no complete .keras file ({error}); save the model again") from error
    if size > memory_limit_bytes():
        raise ValueError(f"{source} has {source.stat().st_size} bytes and unpacks to {size}; {memory_advice()}")


def _run_child(source: Path, folder: Path) -> None:
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        done = _run(folder, paths)
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"the process that opened {source} has not ended within {error.timeout:g} s; the model is probably damaged "
            "or too large for this machine: save it again, or give more time (--max_minutes)"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        said = f" ({lines[-1][:300]})" if lines else ""
        raise ValueError(
            f"the process that opened {source} died with {cause_of_end(done.returncode)}{said}; "
            "the file is probably damaged or needs more memory than it may take: save the model again; "
            f"{memory_advice()}"
        )


def _run(folder: Path, paths: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "torchseg.processes.confined", str(folder), "tf_bridge.from_tensorflow.process"]
    own = dict.fromkeys(("TMPDIR", "KERAS_HOME"), str(folder))  # where libraries write files of their own
    return subprocess.run(
        [*program, str(folder)],
        env={**os.environ, **own, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=time_limit_s(_LIMIT_S),
    )


def _serve(folder: Path) -> None:
    """Runs in the child: errors caused by the model file go into the reply."""
    path = folder / _REQUEST
    request = build(_Request, read_json(path, remedy=_REMEDY), path=path, remedy=_REMEDY)
    try:
        imported = from_tensorflow(request.source, folder / _MODEL, request.spec, notes=request.notes)
        if imported.predict is not None:
            np.save(folder / _ANSWERS, imported.predict(np.load(folder / _IMAGES)))
        reply = {"kind": imported.kind, "precision": str(imported.precision), "scores": asdict(imported.scores)}
    except (ValueError, ImportError) as error:
        reply = {"error": " ".join(str(error).split())}
    except Exception as error:  # TensorFlow raises exceptions of many classes for a damaged model
        reply = {"error": f"{request.source} cannot be run: {one_line(error)}; save the model again"}
    (folder / _REPLY).write_text(json.dumps(reply), encoding="utf-8")


if __name__ == "__main__":
    limit_own_memory()
    _serve(Path(sys.argv[1]))
