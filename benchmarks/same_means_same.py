"""Counts how often the latency verdict calls a file's own copy "same", and a faster file "faster".

    python benchmarks/same_means_same.py FILE QUICKER_FILE --tries 20 --table FILE.md

Exits with 1 if the copy gets another verdict in more than one of twenty tries, or the faster file even once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from show_table import show_table

from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, latency_ratio, measure_latency
from torchseg.pipeline.commands.score import single_artifact

VERDICTS = ("faster", "same", "slower")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("quicker", type=Path)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--table", type=Path, help="Markdown file for the table.")
    arguments = parser.parse_args()
    copies, quicker = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(arguments.file, folder))
        for _ in range(arguments.tries):
            same, faster = _verdicts([arguments.file, copy, arguments.quicker])
            copies[same] += 1
            quicker[faster] += 1
    rows = {f"its own copy ({arguments.file.name})": copies, arguments.quicker.name: quicker}
    show_table(
        f"| held against {arguments.file.name} | "
        + " | ".join(VERDICTS)
        + " |\n|---|---:|---:|---:|\n"
        + "".join(
            f"| {name} | " + " | ".join(str(counts[verdict]) for verdict in VERDICTS) + " |\n"
            for name, counts in rows.items()
        )
        + f"\n{arguments.tries} tries, {LatencyConfig().threads} thread; {cpu_name()}.",
        arguments.table,
    )
    return int(copies["same"] < 0.95 * arguments.tries or quicker["faster"] < arguments.tries)


def _verdicts(paths: list[Path]) -> list[str]:
    """Latency verdicts of the second and the third file against the first."""
    image = np.random.default_rng(0).normal(size=(1, 3, *(single_artifact(paths[0]).file.image_size or (64, 64))))
    with ExitStack() as stack:
        processes = [stack.enter_context(RuntimeProcess(path)) for path in paths]
        for process in processes:
            process.load()
        images = [image.astype(np.float32)] * len(paths)
        first, *others = measure_latency(processes, images, LatencyConfig(), pairs=[(1, 0), (2, 0)])
    assert isinstance(first, Latency)
    return [latency_ratio(each.recorded_ms, first.recorded_ms).verdict for each in others if isinstance(each, Latency)]


if __name__ == "__main__":
    sys.exit(main())
