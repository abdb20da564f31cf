"""A command that is killed at random moments ends with what one that was not leaves; `make faults` tries many.

Each seed kills a command two or three times, alone or with its process group, and then lets it end.
"""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from tests.faults.commands import Running, results
from tests.faults.mutations import LONG, number_of, report
from torchseg.pipeline.run.lock import locked

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")]
ALL = ("train", "compress", "export", "score", "search", "grid", "distill")
SHORT = [("train", 0)]  # the rest takes minutes
CASES = [(command, seed) for command in ALL for seed in range(number_of(7, short=1))] if LONG else SHORT
KILLS = 3 if LONG else 2


@pytest.mark.parametrize(("command", "seed"), CASES)
def test_a_command_that_is_killed_again_and_again_leaves_the_same(command, seed, whole, given, tmp_path):
    expected, lasts = whole(command)
    assert expected, "nothing to compare"
    chance, kills = random.Random(f"{command} {seed}"), Counter()
    out = tmp_path / "killed"
    for number in range(KILLS):
        group = (seed + number) % 2 == 0
        running = Running(command, given, out)
        was_killed = running.kill(after_s=chance.uniform(0.1, 0.8) * lasts, group=group)
        kills[("with its group" if group else "alone") if was_killed else "after its end"] += 1
        running.check_no_orphan()
        with locked(out):
            pass
    last = Running(command, given, out)
    last.finish()
    last.check_no_orphan()
    assert results(out) == expected
    report(f"`{command}` killed, then the same to the bit", kills)
