"""Training, distillation and compression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from torchseg.api.data import Data
from torchseg.api.network import Network, folder_of, load
from torchseg.api.options import CompressOptions, Named, TrainOptions, config_for
from torchseg.compression_defaults import CLUSTERS, SPARSITY
from torchseg.config import CompressConfig, DistillConfig, TrainConfig
from torchseg.console import console
from torchseg.harness.csv_table import read_values
from torchseg.pipeline.commands.compress import completed, compress_network, ledger_lines
from torchseg.pipeline.commands.distill import distill_student
from torchseg.pipeline.commands.train import train_network
from torchseg.pipeline.stages.ledger import LEDGER, LEDGER_TEXTS


@console()
def train(
    model: str,
    data: Data,
    *,
    epochs: int = 0,
    teacher: Network | str | Path | None = None,
    arguments: Named = "",
    out: str | Path | None = None,
    **options: Unpack[TrainOptions],
) -> Network:
    """Trains a network with labels, or distils it if a teacher is given.

    Calling it again with the same arguments resumes an interrupted training, or loads the finished result.

    Args:
        model: name of the network, `smp:ARCHITECTURE:ENCODER`, `torchvision:NAME`, `timm:ENCODER` or
            `code:FILE:FUNCTION`.
        data: to train on.
        epochs: passes over the labelled images. 0: as many as make 960 optimizer steps on scenes, 1440 otherwise.
        teacher: network, or folder of its checkpoint, to distil from; labels count as well.
        arguments: of the model's builder, e.g. `{"base_width": 16}`.
        out: folder of the run. Default: `runs/DATA-MODEL`.
        **options: training flags of `train`, or of `distill` if there is a teacher.

    Returns:
        The network of the best epoch; its checkpoint is `OUT/trained`, or `OUT/student` if there is a teacher.

    Raises:
        ValueError: if the model or an option is unknown, or model, teacher and data do not fit each other.
    """
    flags: dict[str, object] = {**data.flags, "epochs": epochs, **options}
    flags["out"] = Path(out) if out else Path("runs") / re.sub(r"[^\w-]+", "-", f"{data.config.data}-{model}")
    if teacher is None:
        flags |= {"model": model, "model_arguments": arguments}
        return load(train_network(config_for(TrainConfig, flags)).checkpoint)
    flags |= {"student": model, "student_arguments": arguments, "sparsity": 0.0, "clusters": None}
    flags |= {"teacher_checkpoint": folder_of(teacher), "transfer_set": data.transfer_set}
    return load(distill_student(config_for(DistillConfig, flags)))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CompressionReport:
    """Result of `compress`; `str()` lists sparsity and distinct values of each stage.

    Attributes:
        network: the compressed network.
        folder: of the run: checkpoints, `ledger.csv`, and packed files if they were asked for.
        rows: totals of `ledger.csv`, one dictionary per checkpoint and file.
        failures: failed certificates and ledger checks, one message each.
        text: the rows as aligned lines.
    """

    network: Network
    folder: Path
    rows: Sequence[Mapping[str, Any]]
    failures: Sequence[str]
    text: str

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"FAILED: {failure}" for failure in self.failures)])

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED: {'; '.join(self.failures)}"
        return f"CompressionReport({self.network!r}; {verdict})"


@console()
def compress(
    network: Network | str | Path,
    data: Data | None = None,
    *,
    sparsity: float = SPARSITY,
    clusters: int | None = CLUSTERS,
    teacher: Network | str | Path | None = None,
    out: str | Path | None = None,
    **options: Unpack[CompressOptions],
) -> CompressionReport:
    """Prunes and clusters a trained network, each with recovery training; the network itself stays as it is.

    Calling it again with the same arguments resumes an interrupted training, or loads the finished result.

    Args:
        network: to compress, or the folder of its checkpoint.
        data: to recover on. Default: that of the run that the checkpoint lies in.
        sparsity: share of zeros among the weights, in [0, 1); 0 prunes nothing.
        clusters: distinct weights per output channel, 1 to 256, zero not counted; None clusters nothing.
        teacher: network, or folder of its checkpoint, to recover with. Default: `teacher/` in the run of the
            checkpoint, if there is one; otherwise labels alone.
        out: folder of the run. Default: `compressed/` beside the checkpoint.
        **options: any other flag of `compress`.

    Returns:
        The compressed network, and the result of the ledger check.

    Raises:
        ValueError: if the network does not fit the data, an option is unknown, or names a layer that the network lacks.
    """
    checkpoint = folder_of(network)
    flags: dict[str, object] = {"checkpoint": checkpoint, "sparsity": sparsity, "clusters": clusters, **options}
    flags |= {"out": Path(out) if out else None, "teacher_checkpoint": folder_of(teacher) if teacher else None}
    flags |= {**data.flags, "transfer_set": data.transfer_set} if data else {}
    compressed = compress_network(completed(config_for(CompressConfig, flags)))
    totals = [row for row in read_values(compressed.run / LEDGER, texts=LEDGER_TEXTS) if row["tensor"] == "total"]
    return CompressionReport(
        network=load(compressed.checkpoint),
        folder=compressed.run,
        rows=totals,
        failures=tuple(compressed.problems),
        text="\n".join(ledger_lines(compressed.run)),
    )
