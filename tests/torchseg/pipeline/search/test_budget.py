from __future__ import annotations

import pytest

from torchseg.pipeline.search.budget import Cost, SearchBudget

COST = Cost(size_bytes=1500, multiply_adds=10, latency_ms=3.0)


@pytest.mark.parametrize(
    ("budget", "overrun"),
    [
        (SearchBudget(max_bytes=1500, max_ms=3.0), 0.0),
        (SearchBudget(max_bytes=1000), 0.5),
        (SearchBudget(max_ms=1.5), 1.0),
        (SearchBudget(max_bytes=1000, max_ms=1.5), 1.0),
    ],
)
def test_the_worst_of_size_and_time_counts(budget, overrun):
    assert budget.overrun(COST) == pytest.approx(overrun)


def test_a_budget_says_what_it_asks_for():
    assert SearchBudget(max_bytes=1500, max_ms=3.0).text == "1.5 kB and 3 ms"
    assert SearchBudget(max_ms=0.5).text == "0.5 ms"
