"""Measures the peak memory of scoring hundreds of large files: of the command and all its processes together.

    python benchmarks/scoring_many_files.py [--files 200] [--megabytes 80] [--work FOLDER]

Makes ONNX files of random weights that take images of 64x64, eight of them and hard links to these, scores
them with `scripts/score.py` on generated images, and adds up the resident memory of the whole process tree ten times a
second; pages that processes share count once for each of them. Deletes the files, and exits with 1 above 4 GiB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from marked_table import write_marked_table
from show_table import made_by

from torchseg.data import DataSet, write_folder
from torchseg.data.datasets.scenes import CLASSES, Scenes

ROOT = Path(__file__).parents[1]
ALLOWED_MIB = 4096
SIDE, STRIDE, IMAGES, DISTINCT = 64, 16, 16, 8
_SAMPLED_EVERY_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the files, scores them and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=80, help="of each file")
    parser.add_argument("--work", type=Path, help="folder in which the files are made, and deleted again")
    parser.add_argument("--table", type=Path, help="Markdown file with a table `many files`")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        paths = [Path(folder) / f"network{number:03d}.onnx" for number in range(given.files)]
        for number, path in enumerate(paths):
            if number < DISTINCT:
                write_network(path, size_bytes=int(given.megabytes * 1e6), seed=number)
            else:  # a link takes no room on the disk, and each process reads its file into memory of its own
                path.hardlink_to(paths[number % DISTINCT])
        write_folder(_scenes(), Path(folder) / "images", size=(SIDE, SIDE))
        flags = ["--data", "folder", "--root", Path(folder) / "images"]
        program = [sys.executable, ROOT / "scripts" / "score.py", *paths]
        peak, seconds, code = measured_tree([*map(str, [*program, *flags, "--out", Path(folder) / "out"])])
    text = table_of(given.files, given.megabytes, peak_mib=peak, minutes=seconds / 60)
    print(text)
    if given.table and not code:
        write_marked_table(given.table, "many files", f"{text}\n\n{made_by()}")
    return code or int(peak > ALLOWED_MIB)


def _scenes() -> DataSet:
    train, validation, test, transfer = (
        Scenes(part, height=SIDE, width=SIDE, length=IMAGES if part == "test" else 1)
        for part in ("train", "validation", "test", "transfer")
    )
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, transfer=transfer)


def write_network(path: Path, *, size_bytes: int, seed: int) -> None:
    """Writes a network of random weights: a wide pair of convolutions on a small map, whose values are cheap."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random, width = np.random.default_rng(seed), 512
    inner = max(1, size_bytes // (4 * 2 * 9 * width))  # two kernels of 3x3 between `width` and `inner` channels
    shapes = {"a": (width, 3, STRIDE, STRIDE), "b": (inner, width, 3, 3), "c": (width, inner, 3, 3)}
    shapes["d"] = (len(CLASSES), width, 1, 1)
    weights = [
        numpy_helper.from_array(random.standard_normal(shape, np.float32) / np.float32(np.prod(shape[1:]) ** 0.5), name)
        for name, shape in shapes.items()
    ]
    scales = numpy_helper.from_array(np.array([1, 1, STRIDE, STRIDE], np.float32), "scales")
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["image", "a"], ["x"], strides=[STRIDE, STRIDE]),
        helper.make_node("Conv", ["x", "b"], ["y"], pads=pads),
        helper.make_node("Conv", ["y", "c"], ["z"], pads=pads),
        helper.make_node("Conv", ["z", "d"], ["small"]),
        helper.make_node("Resize", ["small", "", "scales"], ["logits"], mode="nearest"),
    ]
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, SIDE, SIDE])
        for name, channels in (("image", 3), ("logits", len(CLASSES)))
    )
    graph = helper.make_graph(nodes, "network", [image], [logits], [*weights, scales])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def measured_tree(command: Sequence[str]) -> tuple[float, float, int]:
    """Runs a command; returns its peak memory with all its processes in MiB, its seconds and its exit code."""
    begin, peak = time.monotonic(), 0
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        total = 0
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += each.memory_info().rss
        peak = max(peak, total)
        time.sleep(_SAMPLED_EVERY_S)
    return peak / 2**20, time.monotonic() - begin, process.returncode


def table_of(files: int, megabytes: float, *, peak_mib: float, minutes: float) -> str:
    """The result as a Markdown table."""
    header = "| files | MB each | peak of the command and all its processes, MiB | minutes |\n|---:|---:|---:|---:|\n"
    return f"{header}| {files} | {megabytes:g} | {peak_mib:,.0f} | {minutes:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
