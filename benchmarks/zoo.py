"""Exports a zoo of networks with random weights and reports which files compute what their network computes.

    python benchmarks/zoo.py --out FOLDER --sizes 64 --formats onnx
    python benchmarks/zoo.py --out FOLDER --code networks.txt --data camvid --root FOLDER

Networks: every architecture of segmentation_models_pytorch with nine encoders, four of torchvision, and those that
--code lists. Batch norm has the statistics of a few images of --data. Each network runs in a child process with a time
limit. Results are appended to FOLDER/zoo.jsonl, one line per network and size, and are not made again, so a stopped run
resumes; --again repeats those that failed. Writes the table FOLDER/zoo.md. Exits with 1 if a file is not right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo_networks import zoo_names

from torchseg.exit_code import cause_of_end
from torchseg.harness.host import cpu_name

RESULTS, TABLE, NOT_BUILT = "zoo.jsonl", "zoo.md", "not built"
PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "timm", "onnx", "onnxruntime", "tensorflow")

Row = dict[str, Any]
"""`network`, `size`, `seconds`, and `files`: what is wrong, by `PRECISION FORMAT`; empty for a file that is right."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / RESULTS
    rows = {(row["network"], row["size"]): row for row in _read(results)}
    for size in arguments.sizes:
        for name in zoo_names(arguments.families, arguments.code):
            if arguments.only in name and not _is_done(rows.get((name, size)), arguments):
                rows[name, size] = _merged(rows.get((name, size)), _made(name, size, arguments))
                with results.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(rows[name, size]) + "\n")
                print(name, size, *(f"{file}: {said or 'right'}" for file, said in rows[name, size]["files"].items()))
                sys.stdout.flush()
    (arguments.out / TABLE).write_text("\n".join(_table(list(rows.values()))) + "\n", encoding="utf-8")
    return int(any(said for row in _built(rows.values()) for said in row["files"].values()))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", nargs="*", default=["smp", "torchvision"], choices=["smp", "torchvision"])
    parser.add_argument("--code", type=Path, help="text file of further networks, one FILE.py:NAME per line")
    parser.add_argument("--only", default="", help="networks whose name contains this text")
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["64", "96,160"])
    parser.add_argument("--formats", nargs="+", default=["onnx", "tflite"], choices=["onnx", "tflite"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--translate_only", action="store_true", help="trace and translate; write no file")
    parser.add_argument("--limit_s", type=float, default=600, help="for one network")
    parser.add_argument("--again", action="store_true", help="repeat what was not right")
    return parser.parse_args(argv)


def _files(arguments: argparse.Namespace) -> list[str]:
    if arguments.translate_only:
        return [f"translated {kind}" for kind in arguments.formats]
    return [f"{precision} {kind}" for kind in arguments.formats for precision in arguments.precisions]


def _is_done(row: Row | None, arguments: argparse.Namespace) -> bool:
    if row is None:
        return False
    if NOT_BUILT in row["files"]:
        return not arguments.again
    return all(file in row["files"] and not (arguments.again and row["files"][file]) for file in _files(arguments))


def _merged(before: Row | None, row: Row) -> Row:
    kept = before["files"] if before else {}
    return row | {"files": {name: said for name, said in kept.items() if name != NOT_BUILT} | row["files"]}


def _made(name: str, size: str, arguments: argparse.Namespace) -> Row:
    """Exports one network in a child process."""
    data = {"data": arguments.data, "root": str(arguments.root) if arguments.root else None, "image_size": size}
    request = {
        "network": name,
        "data": {key: value for key, value in data.items() if value is not None},
        **{key: getattr(arguments, key) for key in ("formats", "precisions", "translate_only")},
    }
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("zoo_worker.py"))],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=arguments.limit_s,
            check=False,
        )
        files = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        files = dict.fromkeys(_files(arguments), f"took more than {arguments.limit_s:g} s")
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [""])[-1]
        files = dict.fromkeys(_files(arguments), f"DIED: {cause_of_end(done.returncode)}: {said[:300]}")
    return {"network": name, "size": size, "seconds": round(time.monotonic() - started, 1), "files": files}


def _read(path: Path) -> Iterator[Row]:
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _built(rows: Any) -> list[Row]:
    return [row for row in rows if NOT_BUILT not in row["files"]]


def _table(rows: Sequence[Row]) -> list[str]:
    built = _built(rows)
    files = list(dict.fromkeys(name for row in built for name in row["files"]))
    lines = [
        "# Networks of others",
        "",
        ", ".join(f"{name} {version(name)}" for name in PACKAGES) + f"; {cpu_name()}.",
        "",
    ]
    lines += ["| file | right | refused | wrong | traceback or crash | share right |", "|---|---:|---:|---:|---:|---:|"]
    for file in files:
        counts = Counter(_word(row["files"][file]) for row in built if file in row["files"])
        shown = " | ".join(str(counts[word]) for word in ("right", "refused", "wrong", "crash"))
        lines.append(f"| {file} | {shown} | {100 * counts['right'] / counts.total():.1f} % |")
    lines += ["", f"{len(rows) - len(built)} combinations do not exist in their library.", ""]
    lines += ["| network | size | " + " | ".join(files) + " |", "|---|---|" + "---|" * len(files)]
    for row in built:
        cells = (_word(row["files"][file]) if file in row["files"] else "" for file in files)
        lines.append(f"| {row['network']} | {row['size'].replace(',', 'x')} | " + " | ".join(cells) + " |")
    failures = [(row, file, said) for row in built for file, said in row["files"].items() if said]
    return [*lines, "", *(f"- {row['network']} {row['size']}, {file}: {said}" for row, file, said in failures)]


def _word(said: str) -> str:
    """One word for a cell."""
    if not said:
        return "right"
    if said.startswith(("TRACEBACK", "DIED", "took")):
        return "crash"
    return "wrong" if said.startswith("wrong") else "refused"


if __name__ == "__main__":
    sys.exit(main())
