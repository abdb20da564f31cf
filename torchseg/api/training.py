"""Training and compression: a network out of pictures, and a cheaper one out of that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from torchseg.api.data import Data
from torchseg.api.network import Network, folder_of, load
from torchseg.api.options import CompressOptions, Named, TrainOptions, config_for
from torchseg.checkpoint import read_card
from torchseg.config import CompressConfig, DistillConfig, TrainConfig
from torchseg.harness.csv_table import read_values
from torchseg.pipeline.commands.compress import completed, completed_in, compress_network, ledger_lines
from torchseg.pipeline.commands.distill import distill_student
from torchseg.pipeline.commands.train import train_network
from torchseg.pipeline.run.recorded_config import run_of
from torchseg.pipeline.stages.ledger import LEDGER, LEDGER_TEXTS


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

    The same call goes on where an earlier one stopped, and trains nothing that is done already.

    Args:
        model: name of the network, or `smp:ARCHITECTURE:ENCODER` for any of segmentation_models_pytorch.
        data: to learn from.
        epochs: passes over the labelled pictures. 0 stands for as many as make 640 steps on scenes, 1440 otherwise.
        teacher: network, or folder of its checkpoint, that the new one learns from beside the labels.
        arguments: what the network's builder takes, e.g. `{"base_width": 16}`.
        out: folder of the run. Default: `runs/DATA-MODEL`.
        **options: any flag of `train` or, with a teacher, of `distill`, that is about learning.

    Returns:
        The network of the best epoch, out of `OUT/trained`; out of `OUT/student` if there is a teacher.

    Raises:
        ValueError: if the network, the teacher or an option does not exist or does not fit the data.
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
    """What a compression left; `str()` of it says what is inside the weights before and after each stage.

    Attributes:
        network: the cheaper one.
        folder: of the run: checkpoints, `ledger.csv`, and packed files if they were asked for.
        rows: totals of the ledger, a dictionary for each checkpoint and file.
        failures: promises about zeros, shared values and certificates that were not kept, a sentence each.
        text: the rows, a line each.
    """

    network: Network
    folder: Path
    rows: Sequence[Mapping[str, Any]]
    failures: Sequence[str]
    text: str

    @property
    def passed(self) -> bool:
        """Whether all promises were kept."""
        return not self.failures

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"FAILED: {failure}" for failure in self.failures)])

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED: {'; '.join(self.failures)}"
        return f"CompressionReport({self.network!r}; {verdict})"


def compress(
    network: Network | str | Path,
    data: Data | None = None,
    *,
    sparsity: float = 0.6,
    clusters: int | None = 6,
    teacher: Network | str | Path | None = None,
    out: str | Path | None = None,
    **options: Unpack[CompressOptions],
) -> CompressionReport:
    """Prunes and clusters a trained network, each with recovery training; the network itself stays as it is.

    The same call goes on where an earlier one stopped, and trains nothing that is done already.

    Args:
        network: to compress, or the folder of its checkpoint.
        data: to recover on. Default: that of the run which the checkpoint lies in.
        sparsity: share of zeros among the weights, in [0, 1); 0 prunes nothing.
        clusters: values that the weights of a layer share, 1 to 256, zero not counted; None shares none.
        teacher: network, or folder of its checkpoint, to recover with. Default: `teacher/` in the run of the
            checkpoint, where there is one; else labels alone.
        out: folder of the run. Default: `compressed/` beside the checkpoint.
        **options: any other flag of `compress`.

    Returns:
        The cheaper network, and whether the ledger holds.

    Raises:
        ValueError: if the network does not fit the data, or an option does not exist or does not fit the network.
    """
    checkpoint = folder_of(network)
    flags: dict[str, object] = {"checkpoint": checkpoint, "sparsity": sparsity, "clusters": clusters, **options}
    flags |= {"out": Path(out) if out else None, "teacher_checkpoint": folder_of(teacher) if teacher else None}
    if data is None:
        config = completed(config_for(CompressConfig, flags))
    else:
        flags |= {**data.flags, "transfer_set": data.transfer_set}
        config = _beside(config_for(CompressConfig, flags))
    compressed = compress_network(config)
    totals = [row for row in read_values(compressed.run / LEDGER, texts=LEDGER_TEXTS) if row["tensor"] == "total"]
    return CompressionReport(
        network=load(compressed.checkpoint),
        folder=compressed.run,
        rows=totals,
        failures=tuple(compressed.problems),
        text="\n".join(ledger_lines(compressed.run)),
    )


def _beside(config: CompressConfig) -> CompressConfig:
    """Completes what the run of the checkpoint says; a checkpoint need not lie in one, as the pictures are given."""
    read_card(config.checkpoint)
    try:
        return completed_in(run_of(config.checkpoint), config)
    except ValueError:
        return replace(config, out=config.out or config.checkpoint.parent / "compressed")
