"""The table that `bridge_peer_zoo.py` writes: right files of each converter, one row per network, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from bridge_peer import NAMES, OURS
from zoo_table import NOT_BUILT, Row, count_lines, days_of

from torchseg.harness.host import cpu_name

_WORDS = ("right", "wrong", "does not run", "not converted")


def peer_table(rows: Sequence[Row], versions: Mapping[str, str]) -> list[str]:
    """Lines of Markdown.

    Args:
        rows: of `bridge_peer_zoo.jsonl`; those whose results lack a peer are left out.
        versions: names and versions of each peer's packages, by peer.
    """
    tools = ["ours", *versions]
    built = [row for row in rows if NOT_BUILT not in row and set(tools) <= set(row["results"])]
    counts = {NAMES[tool]: Counter(_word(row, tool) for row in built) for tool in tools}
    left_out = [f"- {row['network']}: {row[NOT_BUILT]}" for row in rows if NOT_BUILT in row]
    return [
        *_head(built, versions),
        *count_lines("made by", dict(zip(_WORDS, _WORDS, strict=True)), counts),
        "",
        f"| network | size | {' | '.join(NAMES[tool] for tool in tools)} |",
        "|---" * (len(tools) + 2) + "|",
        *(f"| {row['network']} | {row['size']} | {' | '.join(_cell(row, tool) for tool in tools)} |" for row in built),
        *_failures(built, tools),
        *(
            ["", "Not counted, because the network cannot be built or runs at no size:", "", *left_out]
            if left_out
            else []
        ),
        "",
        _sentence(built, tools),
    ]


def _head(built: Sequence[Row], versions: Mapping[str, str]) -> list[str]:
    ours = ", ".join(f"{name} {version(name)}" for name in OURS)
    theirs = "".join(f" {NAMES[tool]}: {said}." for tool, said in versions.items())
    return [
        "# Networks of others, converted by three tools",
        "",
        f"{len(built)} networks with random weights, converted to fp32 TFLite by",
        "",
        "    python benchmarks/bridge_peer_zoo.py --out FOLDER --code networks.txt --litert PYTHON --onnx2tf PYTHON",
        "",
        "Right is a file whose logits on four images are as close to PyTorch's as a certificate asks of this project's",
        "fp32 files: 99.95 % of the classes agree, and no logit is further off than a thousandth of their range.",
        "litert-torch gets the exported PyTorch program; onnx2tf gets the ONNX file of this project and, if that does",
        "not end in a right file, that of PyTorch's exporter. Each conversion has a limit of memory and CPU time.",
        "Seconds are those of the CPU for the conversion; the peers' include the start of Python and imports, and",
        "onnx2tf writes a SavedModel and an fp16 file on the way.",
        "",
        f"This project: {ours}.{theirs} {cpu_name()}; {days_of(built)}.",
        "",
    ]


def _word(row: Row, tool: str) -> str:
    said = row["results"][tool]["said"]
    return next((word for word in _WORDS if said.startswith(word)), "not converted") if said else "right"


def _cell(row: Row, tool: str) -> str:
    result = row["results"][tool]
    measured = [f"{result['seconds']:.0f} s"] if result["seconds"] is not None else []
    measured += [f"{result['bytes']:,} bytes"] if result["bytes"] is not None else []
    return ", ".join([_word(row, tool), *measured])


def _failures(built: Sequence[Row], tools: Sequence[str]) -> list[str]:
    lines = [
        f"- {row['network']}, {NAMES[tool]}: {said}"
        for tool in tools
        for row in built
        if (said := row["results"][tool]["said"])
    ]
    return ["", "What was said of the files that are not right:", "", *lines] if lines else []


def _sentence(built: Sequence[Row], tools: Sequence[str]) -> str:
    """How many each converted rightly, and on how many the tools differ."""
    right = {tool: sum(_word(row, tool) == "right" for row in built) for tool in tools}
    counts = ", ".join(f"{NAMES[tool]} {count}" for tool, count in right.items())
    peers = [tool for tool in tools if tool != "ours"]
    behind = sum(_word(row, "ours") != "right" and any(_word(row, each) == "right" for each in peers) for row in built)
    ahead = sum(_word(row, "ours") == "right" and all(_word(row, each) != "right" for each in peers) for row in built)
    return (
        f"Of the same {len(built)} networks in fp32, these were converted rightly: {counts}. "
        f"{ahead} by this project alone, and {behind} by a peer and not by this project."
    )
