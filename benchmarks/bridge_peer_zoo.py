"""Converts the networks of `zoo.py` to fp32 TFLite with this project, litert-torch and onnx2tf, and counts right files.

    python benchmarks/bridge_peer_zoo.py --out FOLDER --litert litert/bin/python --onnx2tf onnx2tf/bin/python
    python benchmarks/bridge_peer_zoo.py ... --only 'smp:Unet:*' --code networks.txt --table results/bridge_peer_zoo.md

`bridge_peer.py` says how to make the environments; a peer without one is left out. All converters get the same network
with random weights and the same image size: the first of --sizes that the network takes. A file is right if its logits
are as close to PyTorch's as a certificate asks of this project's fp32 files. Each network runs in a child process, and
each peer in one of its own, with a limit of memory and CPU time. Results are appended to FOLDER/bridge_peer_zoo.jsonl
and are not made again, so a stopped run resumes. Writes the table FOLDER/bridge_peer_zoo.md.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_peer import PEERS, peer_versions
from bridge_peer_zoo_table import peer_table
from bridge_peer_zoo_worker import WAIT
from zoo_child import run_child
from zoo_networks import add_network_flags, parsed_with_networks
from zoo_table import NOT_BUILT, Row, append_row, read_rows, write_table

from torchseg.processes.child_limits import child_limits

RESULTS, TABLE = "bridge_peer_zoo.jsonl", "bridge_peer_zoo.md"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / RESULTS
    rows = {row["network"]: row for row in read_rows(results)}
    for name, place in arguments.networks.items():
        if not _is_done(rows.get(name), arguments.peers):
            rows[name] = {"network": name} | _converted(place, arguments)
            append_row(results, rows[name], said={tool: each["said"] for tool, each in rows[name]["results"].items()})
    versions = {tool: peer_versions(Path(python), tool) for tool, python in arguments.peers.items()}
    write_table(peer_table(list(rows.values()), versions), arguments.out / TABLE, arguments.table)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network_flags(parser, ["torchvision", "smp"])
    for peer in PEERS:
        parser.add_argument(f"--{peer}", help="Python of its environment")
    parser.add_argument(
        "--sizes", nargs="+", default=["64", "128", "256"], help="of images; the first that runs counts"
    )
    parser.add_argument("--limit_s", type=float, default=600, help="of the CPU, for one conversion by a peer")
    parser.add_argument("--memory_gb", type=float, default=8, help="for each process")
    arguments = parsed_with_networks(parser, argv)
    arguments.peers = {peer: python for peer in PEERS if (python := getattr(arguments, peer))}
    return arguments


def _is_done(row: Row | None, peers: Mapping[str, str]) -> bool:
    return row is not None and (NOT_BUILT in row or set(peers) <= set(row["results"]))


def _converted(place: str, arguments: argparse.Namespace) -> Row:
    """Converts one network in a child process; a converter of which the child says nothing has the child's end."""
    data = {"data": arguments.data} | ({"root": str(arguments.root)} if arguments.root else {})
    request = {
        "network": place,
        "data": data,
        **{key: getattr(arguments, key) for key in ("peers", "sizes", "limit_s")},
    }
    # onnx2tf is tried twice; what this project does is limited as well.
    most_s = WAIT * arguments.limit_s * (2 + 2 * len(arguments.peers))
    with child_limits(memory_gb=arguments.memory_gb, minutes=None):
        said = run_child("bridge_peer_zoo_worker.py", request, ["size", "ours", *arguments.peers], limit_s=most_s)
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    if NOT_BUILT in said:
        return {"date": day, "size": arguments.sizes[-1], "results": {}, NOT_BUILT: said[NOT_BUILT]}
    results = {tool: _result(said[tool]) for tool in ("ours", *arguments.peers)}
    return {"date": day, "size": said["size"], "results": results}


def _result(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {"said": f"not converted: {said}", "seconds": None, "bytes": None}


if __name__ == "__main__":
    sys.exit(main())
