"""Exports a zoo of networks with random weights and reports which files compute what their network computes.

    python benchmarks/zoo.py --out FOLDER --sizes 64 --formats onnx
    python benchmarks/zoo.py --out FOLDER --only 'smp:*:resnet18' 'torchvision:*' --sizes 96,160
    python benchmarks/zoo.py --out FOLDER --code networks.txt --table results/zoo.md

Networks: every architecture of segmentation_models_pytorch with nine encoders, four of torchvision, and those that
--code lists. Batch norm has the statistics of a few images of --data. Each network runs in a child process with a time
limit. Results are appended to FOLDER/zoo.jsonl, one line per network and size, and are not made again, so a stopped run
resumes; --again repeats those that failed. Writes the table FOLDER/zoo.md. Exits with 1 if a file is not right.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Sequence

from zoo_child import run_child
from zoo_networks import add_network_flags, parsed_with_networks
from zoo_table import NOT_BUILT, Row, append_row, built, read_rows, write_table, zoo_table

RESULTS, TABLE = "zoo.jsonl", "zoo.md"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / RESULTS
    rows = {(row["network"], row["size"]): row for row in read_rows(results)}
    for size in arguments.sizes:
        for name, place in arguments.networks.items():
            if not _is_done(rows.get((name, size)), arguments):
                made = {"network": name, "size": size} | _made(place, size, arguments)
                rows[name, size] = _merged(rows.get((name, size)), made)
                append_row(results, rows[name, size], said=rows[name, size]["files"])
    write_table(zoo_table(list(rows.values())), arguments.out / TABLE, arguments.table)
    return int(any(said for row in built(rows.values()) for said in row["files"].values()))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network_flags(parser, ["smp", "torchvision"])
    parser.add_argument("--sizes", nargs="+", default=["64", "96,160"])
    parser.add_argument("--formats", nargs="+", default=["onnx", "tflite"], choices=["onnx", "tflite"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--translate_only", action="store_true", help="trace and translate; write no file")
    parser.add_argument("--limit_s", type=float, default=600, help="for one network")
    parser.add_argument("--again", action="store_true", help="repeat what was not right")
    return parsed_with_networks(parser, argv)


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


def _made(place: str, size: str, arguments: argparse.Namespace) -> Row:
    """Exports one network in a child process, and says what became of each file."""
    data = {"data": arguments.data, "root": str(arguments.root) if arguments.root else None, "image_size": size}
    request = {
        "network": place,
        "data": {key: value for key, value in data.items() if value is not None},
        **{key: getattr(arguments, key) for key in ("formats", "precisions", "translate_only")},
    }
    started = time.monotonic()
    files = run_child("zoo_worker.py", request, _files(arguments), limit_s=arguments.limit_s)
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return {"date": day, "seconds": round(time.monotonic() - started, 1), "proof": True, "files": files}


if __name__ == "__main__":
    sys.exit(main())
