"""Emulates other machines on this one and runs a miniature of the main job on each: `make machines`.

    PYTHONPATH=benchmarks python -m machines [--only NAME...] [--list]

On each machine, distill, export, verify, score and predict run in a temporary folder, in every format. The results are
printed as a table; without --only, the table is also written to `results/machines.md`. Exits with 1 if a machine fails.
The first call installs environments with other Python versions and without extras into `.venv-machines/`.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from show_table import made_by

from machines.environments import ENVIRONMENTS, GIBIBYTE, Environment
from machines.installations import REPOSITORY, build_wheel
from machines.running import LOGS, Outcome, emulate
from torchseg.harness.host import cpu_name

_TABLE = REPOSITORY / "results" / "machines.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[each.name for each in ENVIRONMENTS], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="show what can be emulated")
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument("--limit", type=float, default=600, help="seconds that one may take")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{each.name:15}{each.what}" for each in ENVIRONMENTS))
        return 0
    chosen = [each for each in ENVIRONMENTS if not arguments.only or each.name in arguments.only]
    outcomes = list(_emulated(chosen, arguments.jobs, arguments.limit))
    table = _table(outcomes)
    print("\n" + table)
    if not arguments.only:
        _TABLE.write_text(f"{table}\n{made_by('make machines')}\n", encoding="utf-8")
    return int(any(outcome.failed for outcome in outcomes))


def _emulated(chosen: Sequence[Environment], jobs: int, limit_s: float) -> Iterator[Outcome]:
    wheel = build_wheel()
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda each: _announced(each, wheel, limit_s), chosen)


def _announced(environment: Environment, wheel: Path, limit_s: float) -> Outcome:
    outcome = emulate(environment, wheel, limit_s=limit_s)
    print(f"{environment.name:15}{outcome.seconds:5.0f} s  {outcome.result}", flush=True)
    if outcome.failed:
        print(f"{'':15}see {(LOGS / environment.name).relative_to(REPOSITORY)}.log", flush=True)
    return outcome


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = "".join(
        f"| {each.environment.name} | {each.environment.what} | {each.seconds:.0f} | {each.peak_bytes / GIBIBYTE:.2f} "
        f"| {each.result} |\n"
        for each in outcomes
    )
    return (
        f"| machine | emulated | seconds | peak GiB | result |\n|---|---|---:|---:|---|\n{rows}\n"
        f"{cpu_name()}, Linux x86-64, Python {platform.python_version()}, two at a time. Peak:\n"
        "the most that all processes of one command held together, shared pages counted once.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
