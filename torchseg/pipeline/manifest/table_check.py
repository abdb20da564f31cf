"""Recomputes what a run's tables say: accuracy from the confusion matrices, sizes and weights from the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from torchseg.harness.csv_table import read_table
from torchseg.harness.measure.weights import WeightCount, count_weights, weights_in
from torchseg.harness.report.run_record import Row, number
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.columns import CONFUSION, MEASURES
from torchseg.harness.scoring.measurement import sha256_of_parts
from torchseg.metrics import Overlap, overlap
from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.model_file import ModelFile
from torchseg.plural import counted
from torchseg.record import read_json

SCORES, CLASSES = "scores.csv", "per_class.csv"
_ACCURACY = ("miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall")
_ROUNDED = 2e-6  # the tables have six digits
_REMEDY = "score the run again"
Weigh = Callable[[Path], WeightCount]


def weights_apart(path: Path) -> WeightCount:
    """Zeros and distinct values in a file; any but a checkpoint is opened in a process with limits.

    Raises:
        ValueError: if the file cannot be opened.
    """
    if runtime_name(path) == "torch":
        return count_weights(weight.rows for weight in weights_in(path))
    with RuntimeProcess(path) as process:
        process.load()
        return process.count_weights()


def table_problems(run: Path, weigh: Weigh = weights_apart) -> Iterator[tuple[str, str]]:
    """What scores.csv and per_class.csv say that is not so: the table, and one sentence.

    Latency, memory and agreement are not measured again. A row whose file is gone, or that was not scored, is skipped.

    Args:
        run: its folder.
        weigh: counts the zeros and distinct values of a file; called once for each.
    """
    if not (run / SCORES).is_file() or not (rows := read_table(run / SCORES)):
        return
    if not (run / CONFUSION).is_file():
        yield SCORES, f"{CONFUSION} is missing, from which its numbers follow; {_REMEDY}"
        return
    counts = read_json(run / CONFUSION, remedy=_REMEDY).get("counts", {})
    scores = {key: overlap(np.asarray(matrix, np.int64)) for key, matrix in counts.items()}
    weigh = cache(weigh)
    for row in rows:
        if not row.get("error"):
            for problem in (*_compared(row, scores, _accuracy), *_file(run, row, weigh)):
                yield SCORES, f"{row['artifact']}: {problem}"
    for row in read_table(run / CLASSES) if (run / CLASSES).is_file() else []:
        for problem in _compared(row, scores, _of_class):
            yield CLASSES, f"{row['artifact']}, {row['class']}: {problem}"


def _compared(
    row: Row, scores: Mapping[str, Overlap], compare: Callable[[Row, Overlap], Iterator[str]]
) -> Iterator[str]:
    found = _found(row, scores)
    return iter([f"{CONFUSION} has no matrix for it; {_REMEDY}"]) if found is None else compare(row, found)


def _found(row: Row, scores: Mapping[str, Overlap]) -> Overlap | None:
    """The scores of a row's file; one that was scored in several ways has a key for each."""
    name, runtime, count = row["artifact"], row["runtime"], row.get("threads", "")
    for threads in (counted(count, "thread"), f"{count} threads"):  # earlier tables say `1 threads`
        for key in (name, f"{name} ({runtime})", f"{name} ({threads})", f"{name} ({runtime}, {threads})"):
            if key in scores:
                return scores[key]
    # A row of per_class.csv does not say with how many threads the file ran, which changes no class.
    return next((scores[key] for key in scores if key.startswith(f"{name} (") and (runtime in key)), None)


def _accuracy(row: Row, found: Overlap) -> Iterator[str]:
    for name in _ACCURACY:
        yield from _difference(name, number(row, name), float(getattr(found, name)))


def _of_class(row: Row, found: Overlap) -> Iterator[str]:
    index = number(row, "class_index")
    for name, mean in MEASURES.items():
        value = float(getattr(found, mean)) if index is None else float(getattr(found, name)[int(index)])
        yield from _difference(name, number(row, name), value)


def _file(run: Path, row: Row, weigh: Weigh) -> Iterator[str]:
    file = ModelFile(run / row["artifact"])
    if not file.path.exists():
        return
    if sha256_of_parts(file) != row.get("sha256"):
        yield f"the file is not the one that was scored (its SHA-256 differs); {_REMEDY}"
        return
    yield from _difference("size_bytes", number(row, "size_bytes"), file.size_bytes)
    weights = weigh(file.path)
    yield from _difference("sparsity", number(row, "sparsity"), weights.sparsity)
    yield from _difference("max_unique_weights", number(row, "max_unique_weights"), weights.max_unique_weights)


def _difference(name: str, said: float | None, found: Any) -> Iterator[str]:
    if said is None or isnan(said):
        if not isnan(found):
            yield f"it says no {name}, and it is {found:.6g}"
    elif not abs(said - found) <= _ROUNDED:
        yield f"it says {name} {said:.6g}, and it is {found:.6g}"
