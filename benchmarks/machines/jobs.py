"""The jobs for emulated machines: commands with the exit codes, outputs and files that they must produce."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

DATA, PLAIN, MIXED = "own images é", "plain", "mixed"  # folders next to the run, made by `draw_pictures`
PICTURE = f"{DATA}/images/übung 0.png"
_SMALL = ("--image_size", "32", "--batch_size", "8", "--epochs", "1")
_TEACHER = ("--teacher", "small_unet", "--teacher_arguments", "base_width=16,depth=2", "--teacher_epochs", "1")
_STUDENT = ("--student_arguments", "base_width=8,depth=2")
_PLAIN = ("--sparsity", "0", "--clusters", "null")
_OWN = ("--data", "folder", "--root", DATA)
_ONNX = ("--formats", "onnx", "--precisions", "fp32")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command and its expected result.

    Attributes:
        command: name of a script.
        flags: of the command.
        code: expected exit code.
        says: text that its output must contain.
        leaves: files that must exist afterwards.
        spares: files that must not exist afterwards.
    """

    command: str
    flags: Sequence[str]
    code: int = 0
    says: str = ""
    leaves: Sequence[str] = ()
    spares: Sequence[str] = ()


def chain(flags: Sequence[str]) -> list[Step]:
    """The main job on the built-in scenes in every format and precision, then the commands that usually follow.

    Args:
        flags: additional flags of the main job.
    """
    return _chain((), "runs", PICTURE, flags)


def odd_names(flags: Sequence[str]) -> list[Step]:
    """The job of `chain` on a user's images; folder, image and class names have spaces and non-ASCII letters."""
    return _chain(_OWN, "läufe 1", PICTURE, flags)


def plain_names(flags: Sequence[str]) -> list[Step]:
    """The job of `chain` with non-ASCII letters in class names only; in file names, locale `C` must refuse them."""
    refusal = "set PYTHONUTF8=1"
    return [
        *_chain(("--data", "folder", "--root", PLAIN), "runs", f"{PLAIN}/images/p0.png", flags),
        Step(command="distill", flags=(*_OWN, "--out", "refused"), code=2, says=refusal, spares=["refused"]),
        Step(command="predict", flags=("runs/artifacts/clustered.fp32.onnx", f"{MIXED}/images"), code=2, says=refusal),
    ]


def _chain(data: Sequence[str], out: str, picture: str, flags: Sequence[str]) -> list[Step]:
    files = [f"{out}/artifacts/clustered.{name}" for name in ("fp32.onnx", "int8.onnx", "fp32.tflite", "int8.tflite")]
    further = [f"{out}/artifacts/clustered.{name}" for name in ("fp16.onnx", "dynamic.onnx", "dynamic.tflite")]
    learn = (*data, *_SMALL, *_TEACHER, *_STUDENT, "--prune_epochs", "9", "--cluster_epochs", "1", "--out", out)
    distill = (*learn, "--precisions", "fp32,int8", *flags)
    view = (*data, *_SMALL[:2])
    mask = f"masks/{PurePosixPath(picture).name}"
    return [
        Step(
            command="distill",
            flags=distill,
            leaves=[*files, f"{out}/scores.csv", f"{out}/ledger.csv", f"{out}/report.html"],
        ),
        Step(command="distill", flags=distill, says="Nothing to do"),
        Step(command="export", flags=(f"{out}/clustered", *view, "--precisions", "fp16,dynamic"), leaves=further),
        Step(command="verify", flags=(files[3], further[0]), says="its certificate holds"),
        Step(command="score", flags=(further[1], further[2], "--out", "scores"), leaves=["scores/scores.csv"]),
        Step(command="predict", flags=(files[3], picture, "--out", "masks"), leaves=[mask]),
    ]


def without_extras(flags: Sequence[str]) -> list[Step]:
    """Everything that works without extras, and everything that must be refused before it starts."""
    learn = (*_SMALL, *_TEACHER, *_STUDENT)
    files = "runs/artifacts/pruned.fp32.onnx", "runs/artifacts/pruned.int8.onnx"
    return [
        Step(command="prepare", flags=(*_OWN, *_SMALL[:2])),
        Step(
            command="distill",
            flags=(*learn, "--prune_epochs", "9", "--clusters", "null", "--formats", "onnx", "--out", "runs"),
            leaves=[*files, "runs/scores.csv", "runs/report.html"],
        ),
        Step(command="export", flags=("runs/pruned", *_SMALL[:2], *_ONNX, "--end_to_end")),
        Step(command="verify", flags=files, says="its certificate holds"),
        Step(command="score", flags=(*files, "--out", "scores")),
        Step(command="predict", flags=(files[1], PICTURE)),
        Step(command="report", flags=("runs",)),
        Step(
            command="compress",
            flags=("runs/pruned", "--sparsity", "0", "--cluster_start", "density", "--cluster_epochs", "1"),
            leaves=["runs/compressed/clustered/model.safetensors"],
        ),
        Step(command="grid", flags=("onnx.yaml", "--out", "grid")),
        *_refusals(learn),
    ]


def _refusals(learn: Sequence[str]) -> Iterator[Step]:
    """The commands that need an extra, each with the message that names it."""
    lite = ("--model", "smp:Unet:tu-tf_efficientnet_lite0", "--model_arguments", "encoder_weights=imagenet")
    onnx = (*learn, *_ONNX, *_PLAIN)
    needs = (
        ("tf", "distill", learn),
        ("compress", "distill", (*learn, *_ONNX, "--sparsity", "0")),
        ("compress", "compress", ("runs/student", "--sparsity", "0")),
        ("compress", "compress", ("runs/student", *_PLAIN, "--channel_sparsity", "0.5")),
        ("tf", "export", ("runs/student", *_SMALL[:2])),
        ("tf", "score", ("some.tflite", "--data", "scenes", *_SMALL[:2])),
        ("openvino", "score", ("runs/artifacts/pruned.fp32.onnx", "--runtimes", "openvino")),
        ("tf", "predict", ("some.tflite", PICTURE)),
        ("tf", "import_tf", ("some.tflite", "--data", "scenes")),
        ("search", "search", onnx),
        ("search", "search", (*onnx, "--engine", "optuna")),
        ("tf", "grid", ("tflite.yaml",)),
        ("pretrained", "train", (*_SMALL, *lite)),
    )
    for number, (extra, command, flags) in enumerate(needs, start=1):
        out = f"refused {number}"
        says = f"torchseg-compress[{extra}]"
        yield Step(command=command, flags=(*flags, "--out", out), code=2, says=says, spares=[out])
