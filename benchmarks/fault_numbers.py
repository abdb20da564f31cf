"""Writes what `make faults` counted into docs/explanation/reliability.md.

    python benchmarks/fault_numbers.py NUMBERS.jsonl

Each line of the file is a family of faults and how often each outcome came, as tests/faults/mutations.py writes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marked_table import write_marked_table

_MOST = ("seconds", "peak_mb")
_COLUMNS = ("fault", "attempts", "how they ended", "longest, s", "most memory of a process, MiB")
PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "reliability.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the table; exits with 2 if nothing was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", type=Path, help="file that FAULT_NUMBERS named")
    parser.add_argument("--page", type=Path, default=PAGE, help="page with the table")
    given = parser.parse_args(argv)
    lines = given.numbers.read_text(encoding="utf-8").splitlines() if given.numbers.is_file() else []
    if not lines:
        print(f"error: {given.numbers} has no numbers; run make faults", file=sys.stderr)
        return 2
    table = table_of(lines)
    write_marked_table(given.page, "faults", table)
    print(table)
    return 0


def table_of(lines: Sequence[str]) -> str:
    """A Markdown table with a row per family, in the order of the names; lines of one family are added up."""
    families: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        record = json.loads(line)
        families.setdefault(record["family"], []).append(record)
    rows = [_row(family, records) for family, records in sorted(families.items())]
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", "|---|---:|---|---:|---:|", *rows])


def _row(family: str, records: Sequence[dict[str, Any]]) -> str:
    outcomes: Counter[str] = Counter()
    for record in records:
        outcomes.update(record["outcomes"])
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    most = [max((record[name] for record in records if name in record), default=None) for name in _MOST]
    cells = [family, str(sum(outcomes.values())), ended, *("" if each is None else f"{each:.0f}" for each in most)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
