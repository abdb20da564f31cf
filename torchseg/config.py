"""What each command can be told, as frozen dataclasses that check themselves. Nothing heavy is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.compression_flags import CompressionFlags
from torchseg.cores import available_cores
from torchseg.spec import nearest

FORMATS = ("onnx", "tflite")
SCHEDULES = ("cosine", "stable")
PRECISIONS = ("fp32", "fp16", "dynamic", "int8")
ENDS = ("uint8", "float")
# What a network's pixels may be, as (mean, std) of pictures in [0, 1].
SCALINGS = {
    "0-1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1-1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0-255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
RUNTIME_NAMES = ("torch", "onnxruntime", "litert", "openvino")


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """Flags of every command.

    Attributes:
        seed: Of weights, order and views; the same seed gives the same result.
        threads: Threads to compute with; 0 takes every core that this process may use.
    """

    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0 or self.threads < 0:
            raise ValueError(f"seed is {self.seed} and threads {self.threads}; neither may be negative")

    @property
    def cores(self) -> int:
        """`threads`, or the number of cores that this process may use, its container's quota counted."""
        return self.threads or available_cores()


@dataclass(frozen=True, kw_only=True)
class DataConfig(CommonConfig):
    """Flags that name pictures.

    Attributes:
        data: Data set: scenes (built in, needs no files), folder (your own images/ and masks/), oxford-pet,
            oxford-pet-binary (pet against background), camvid, idd, or aerial.
        root: The data set's folder, or the folder that holds it.
        download: Fetch the data set into --root first, where it can be fetched.
        image_size: Size that the networks see: N, or H,W. Default: 64 for scenes, 128 otherwise.
        patch_size: Cut every picture into squares of this many pixels, which are then resized like whole pictures; for
            large ones, such as those of aerial. 0 takes whole pictures.
        patch_overlap: Share of a patch that its neighbour shows too.
    """

    data: str = "scenes"
    root: Path | None = None
    download: bool = False
    image_size: str = ""
    patch_size: int = 0
    patch_overlap: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.size
        if self.patch_size < 0:
            raise ValueError(f"patch_size is {self.patch_size}; give a side in pixels, or 0 for whole pictures")
        if not 0 <= self.patch_overlap < 1:
            raise ValueError(f"patch_overlap is {self.patch_overlap}; give a share in [0, 1), e.g. 0.25")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the networks see."""
        if not self.image_size:
            return (64, 64) if self.data == "scenes" else (128, 128)
        sides = [side.strip() for side in self.image_size.split(",")]
        if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
            raise ValueError(f"image_size is '{self.image_size}'; give N or H,W in pixels, e.g. 128 or 96,128")
        return int(sides[0]), int(sides[-1])


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(DataConfig):
    """Checks a data set, shows what it holds, and writes a smaller copy of it.

    Attributes:
        out: Folder for a copy whose pictures are at most twice as large as --image_size; read it with --data folder.
            Default: only check.
    """

    out: Path | None = None


@dataclass(frozen=True, kw_only=True)
class LearningConfig(DataConfig):
    """Flags that say how networks learn.

    Attributes:
        batch_size: Pictures a step, over all processes.
        learning_rate: Peak learning rate of AdamW.
        schedule: Of the learning rate, behind a warm-up: cosine, or stable, which is level and falls in the last fifth.
        loss: What the masks teach with: terms joined by +, each with a weight if wanted, e.g. focal+0.5*dice. There are
            cross_entropy, dice, focal, lovasz and tversky.
        class_weights: Weight of each class in the loss, separated by commas; or median_frequency, which lifts rare
            classes. Default: all alike.
        workers: Processes that read and augment pictures; 0 does it in the training process.
        out: Folder of the run. Default: runs/DATA.
        fresh: Forget what an earlier run left in --out and start over.
    """

    batch_size: int = 8
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    loss: str = "cross_entropy+dice"
    class_weights: str = ""
    workers: int = 1
    out: Path | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 2:
            raise ValueError(f"batch_size is {self.batch_size}; batch norm needs at least 2 pictures a step")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; give a positive number, e.g. 0.002")
        if self.schedule not in SCHEDULES:
            hint = nearest(self.schedule, SCHEDULES)
            raise ValueError(f"schedule is '{self.schedule}'{hint}; choose from {', '.join(SCHEDULES)}")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; give 0 or more processes")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / self.data


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Flags that say which files to write.

    Attributes:
        formats: Formats to export, separated by commas: onnx, tflite.
        precisions: Precisions to export, separated by commas: fp32, fp16, dynamic, int8.
    """

    formats: str = "onnx,tflite"
    precisions: str = "fp32,fp16,dynamic,int8"

    def __post_init__(self) -> None:
        _ = self.files

    @property
    def files(self) -> list[tuple[str, str]]:
        """Pairs of format and precision."""
        formats = _choices("formats", self.formats, FORMATS)
        return [
            (kind, precision) for kind in formats for precision in _choices("precisions", self.precisions, PRECISIONS)
        ]


@dataclass(frozen=True, kw_only=True)
class DistillConfig(CompressionFlags, ExportFlags, LearningConfig):
    """Trains a teacher, distils a small student, prunes and clusters it, and exports, certifies and scores them.

    Attributes:
        teacher: Network of the teacher, or smp:ARCHITECTURE:ENCODER for any of segmentation_models_pytorch.
        teacher_arguments: What its builder takes, e.g. base_width=64,dropout=0.1.
        teacher_checkpoint: Folder of a trained teacher; none is trained then.
        student: Network of the student; the same choice.
        student_arguments: What its builder takes, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Epochs of the student, counted in labelled pictures. Default: as many as make 200 steps on scenes,
            720 otherwise.
        teacher_epochs: Epochs of the teacher. Default: as many as make 240 steps on scenes, 420 otherwise.
        transfer_set: Folder with pictures without masks, on which the student listens to the teacher alone.
            They make up half of every batch.
        temperature: Softening of both opinions in the distillation loss.
        alpha: Share of the teacher's opinion in the loss; the labels have the rest.
        twin: Also train the student without its teacher, so that the gain is a number.
    """

    teacher: str = "attention_unet"
    teacher_arguments: str = ""
    teacher_checkpoint: Path | None = None
    student: str = "small_unet"
    student_arguments: str = ""
    epochs: int = 0
    teacher_epochs: int = 0
    transfer_set: Path | None = None
    temperature: float = 1.0
    alpha: float = 0.5
    twin: bool = False

    def __post_init__(self) -> None:
        LearningConfig.__post_init__(self)
        ExportFlags.__post_init__(self)
        CompressionFlags.__post_init__(self)
        if self.epochs < 0 or self.teacher_epochs < 0:
            raise ValueError(
                f"epochs is {self.epochs} and teacher_epochs {self.teacher_epochs}; neither may be negative"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; give a positive number, e.g. 1 or 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; give a share in [0, 1], e.g. 0.8")


@dataclass(frozen=True, kw_only=True)
class CompressConfig(CompressionFlags, LearningConfig):
    """Removes channels of a trained network, prunes and clusters it, each with recovery training.

    Attributes:
        checkpoint: Folder of a trained network, e.g. runs/scenes/trained.
        out: Folder of the run. Default: compressed/ in the run of the checkpoint.
        teacher_checkpoint: Folder of a trained teacher to recover with. Default: teacher/ in the run of the
            checkpoint, where there is one that is not the checkpoint itself; else labels alone.
        transfer_set: Folder with pictures without masks, on which only the teacher's answer counts.
        temperature: Softening of both opinions in the distillation loss.
        alpha: Share of the teacher's opinion in the loss; the labels have the rest.
        shrink: Share of channels to remove from every layer, in [0, 1); 0 removes none.
        shrink_epochs: Epochs of recovery from it. Default: as many as make 120 steps on scenes, 360 otherwise.
        importance: Which channels stay: magnitude of their weights, batch_norm scale, or taylor, measured on pictures.
        pack: Also write OUT/artifacts/STAGE.{fp32,int8}.onnx and .packed.onnx, each with its certificate.
    """

    checkpoint: Path = field(metadata={"positional": ""})
    teacher_checkpoint: Path | None = None
    transfer_set: Path | None = None
    temperature: float = 1.0
    alpha: float = 0.5
    shrink: float = 0.0
    shrink_epochs: int = 0
    importance: Literal["magnitude", "batch_norm", "taylor"] = "magnitude"
    pack: bool = False

    def __post_init__(self) -> None:
        LearningConfig.__post_init__(self)
        CompressionFlags.__post_init__(self)
        if not 0 <= self.shrink < 1:
            raise ValueError(f"shrink is {self.shrink}; give the share of channels to remove, in [0, 1), e.g. 0.5")
        if not (self.shrink or self.stages):
            raise ValueError("nothing to do: shrink and sparsity are 0 and clusters is null; give one of them")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LearningConfig):
    """Trains one network with labels.

    Attributes:
        model: Network to train, or smp:ARCHITECTURE:ENCODER for any of segmentation_models_pytorch.
        model_arguments: What its builder takes, e.g. base_width=16,depth=4,batch_norm=false.
        epochs: Passes over the labelled pictures. Default: as many as make 200 steps on scenes, 720 otherwise.
    """

    model: str = "small_unet"
    model_arguments: str = ""
    epochs: int = 0


@dataclass(frozen=True, kw_only=True)
class VariantFlags:
    """Flags that ask for further files beside the plain ones.

    Attributes:
        bake: Also write each file as .baked: it takes the picture as it is, uint8 (1, H, W, C), and gives classes.
        dynamic_shape: Also write each ONNX file as .dynamic_shape: any number of pictures, of any size that divides by
            what the network's depth demands.
        io: Also write each int8 TFLite file with these types at its two ends, separated by commas: uint8, float.
    """

    bake: bool = False
    dynamic_shape: bool = False
    io: str = ""

    def __post_init__(self) -> None:
        _ = self.ends

    @property
    def ends(self) -> list[str]:
        """Types at the ends of further int8 TFLite files."""
        return _choices("io", self.io, ENDS) if self.io else []


@dataclass(frozen=True, kw_only=True)
class ExportConfig(VariantFlags, ExportFlags, DataConfig):
    """Exports a trained network to ONNX and TFLite, each file with its certificate.

    Attributes:
        checkpoint: Folder of a trained network, e.g. runs/scenes/student.
        out: Folder for the files. Default: artifacts/ beside the checkpoint's folder.
        max_drop: Points of mean IoU that a dynamic or int8 file may lose on the validation part. Where plain int8
            loses more, the fewest layers that must stay in float do. Default: 2, and every layer goes to int8.
        max_class_drop: Points of IoU that any one class may lose. Default: 4 times --max_drop, if that is given.
        qat_epochs: Epochs that the network first learns, with labels, to live with int8; the files are then those of
            the network that this leaves in CHECKPOINT_qat. Default: 0, none.
    """

    checkpoint: Path = field(metadata={"positional": ""})
    out: Path | None = None
    max_drop: float | None = None
    max_class_drop: float | None = None
    qat_epochs: int = 0

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        ExportFlags.__post_init__(self)
        VariantFlags.__post_init__(self)
        for name, points in (("max_drop", self.max_drop), ("max_class_drop", self.max_class_drop)):
            if points is not None and not 0 < points <= 100:
                raise ValueError(f"{name} is {points}; give points of IoU above 0, e.g. 0.5")
        if self.max_class_drop is not None and self.max_drop is None:
            raise ValueError("max_class_drop is given without max_drop; give the points of mean IoU too")
        if self.qat_epochs < 0:
            raise ValueError(f"qat_epochs is {self.qat_epochs}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(DataConfig):
    """Turns a TensorFlow model into an ONNX file, certifies it against the original and puts both up for scoring.

    Attributes:
        model: A .keras, .h5 or .tflite file, or the folder of a SavedModel.
        scaling: What the model's pixels are: 0-1, -1-1, imagenet (mean and deviation of ImageNet) or 0-255.
        mean: Three numbers in place of --scaling, for pictures in [0, 1]; goes with --std.
        std: Three numbers in place of --scaling, for pictures in [0, 1]; goes with --mean.
        classes: Names of the model's classes in the order of its outputs. Default: those of the data set.
        name: What to call it in the table. Default: the file's name.
        out: Folder of a run, new or one on the same data. Default: runs/DATA.
    """

    model: Path = field(metadata={"positional": ""})
    scaling: str = "0-1"
    mean: str = ""
    std: str = ""
    classes: str = ""
    name: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.mean_and_std
        if not self.stage:
            raise ValueError(f"name is '{self.name}'; give letters, digits, - and _")

    @property
    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scaling of pictures in [0, 1]: the network sees `(picture / 255 - mean) / std`."""
        if bool(self.mean) != bool(self.std):
            raise ValueError("--mean and --std belong together; give both, or --scaling")
        if self.mean:
            mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
            if not len(mean) == len(std) == 3:
                raise ValueError(
                    f"--mean has {len(mean)} and --std {len(std)} numbers; give three each: red,green,blue"
                )
            return mean, std
        if self.scaling not in SCALINGS:
            near, known = nearest(self.scaling, SCALINGS), ", ".join(SCALINGS)
            raise ValueError(f"scaling is '{self.scaling}'{near}; choose from {known}, or give --mean and --std")
        return SCALINGS[self.scaling]

    @property
    def stage(self) -> str:
        """Name of the model in tables and files."""
        return re.sub(r"[^\w-]+", "-", self.name or self.model.name.split(".")[0]).strip("-")

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / self.data


@dataclass(frozen=True, kw_only=True)
class VerifyConfig(CommonConfig):
    """Makes the certificate of exported files again and compares it with the one beside them.

    Attributes:
        files: Model files of a run, e.g. runs/scenes/artifacts/student.fp32.onnx.
    """

    files: list[Path] = field(metadata={"positional": "+"})


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(DataConfig):
    """Scores model files side by side on pictures with masks: all files of a run, or any files.

    Attributes:
        files: Folder of a run, or model files from anywhere: .onnx, .tflite, folders of checkpoints.
        against: Model file that the time and the accuracy of the others are held against.
        runtimes: Runtimes to run the files in, separated by commas: torch, onnxruntime, litert, openvino. Default: the
            one made for each kind of file.
        thread_counts: Numbers of threads to time each file at, separated by commas, e.g. 1,2. Default: --threads.
        explain: Model file whose time is shown layer by layer, with what makes it slow; nothing is scored then.
        data: Data set to score on, as for training. Default: that of the run that the files belong to.
        mean: Means of the colours that a file of another tool takes off, scaled to [0, 1], separated by commas.
        std: What it divides the colours by then, separated by commas.
        out: Folder for the tables and the report. Default: the run's, or runs/scores.
    """

    files: list[Path] = field(default_factory=list, metadata={"positional": "*"})
    against: Path | None = None
    runtimes: str = ""
    thread_counts: str = ""
    explain: Path | None = None
    data: str = ""
    mean: str = ""
    std: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.runtime_list, self.thread_list
        if len(self.mean_values) != len(self.std_values):
            raise ValueError(f"--mean is '{self.mean}' and --std '{self.std}'; give one number per colour in both")

    @property
    def runtime_list(self) -> list[str]:
        """Runtimes that were asked for; empty for the one made for each kind of file."""
        return _choices("runtimes", self.runtimes, RUNTIME_NAMES) if self.runtimes else []

    @property
    def thread_list(self) -> list[int]:
        """Numbers of threads, at least one."""
        texts = [text.strip() for text in self.thread_counts.split(",") if text.strip()]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            raise ValueError(f"thread_counts is '{self.thread_counts}'; give numbers above 0, e.g. 1,2")
        return list(dict.fromkeys(int(text) for text in texts)) or [self.cores]

    @property
    def mean_values(self) -> tuple[float, ...]:
        """One per colour; empty if not given."""
        return _numbers("mean", self.mean)

    @property
    def std_values(self) -> tuple[float, ...]:
        """One per colour; empty if not given."""
        return _numbers("std", self.std)


@dataclass(frozen=True, kw_only=True)
class PredictConfig(CommonConfig):
    """Paints masks for pictures with any model file.

    Attributes:
        model: A checkpoint's folder, or an .onnx or .tflite file of a run.
        images: Pictures, or folders of pictures.
        out: Folder for the masks.
        truth: The picture's true mask, or the folder with a PNG mask of each picture's name: shows errors and scores.
        compare: Further model files: shows all of them side by side and where they differ.
        tiles: Read pictures at their own scale in overlapping tiles of the network's size, instead of resizing them.
    """

    model: Path = field(metadata={"positional": ""})
    images: list[Path] = field(metadata={"positional": "+"})
    out: Path = Path("masks")
    truth: Path | None = None
    compare: list[Path] = field(default_factory=list, metadata={"nargs": "+"})
    tiles: bool = False


@dataclass(frozen=True, kw_only=True)
class ReportConfig(CommonConfig):
    """Builds report.html and the figures of a run again.

    Attributes:
        run: Folder of a run, e.g. runs/scenes.
    """

    run: Path = field(metadata={"positional": ""})


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{flag} is '{text}'; give numbers separated by commas, e.g. 0.5,0.5,0.5") from error


def _choices(flag: str, text: str, known: tuple[str, ...]) -> list[str]:
    chosen = [item.strip() for item in text.split(",") if item.strip()]
    for item in chosen:
        if item not in known:
            raise ValueError(f"{flag} names '{item}'{nearest(item, known)}; choose from {', '.join(known)}")
    if not chosen:
        raise ValueError(f"{flag} is empty; choose from {', '.join(known)}")
    return list(dict.fromkeys(chosen))
