from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.report.charts.tradeoffs import pareto, step_points

points = st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=1, max_size=30)


@settings(deadline=None)
@given(points)
def test_no_point_on_the_frontier_is_beaten_and_every_other_one_is(points):
    kept = pareto(points)
    for at, (cost, gain) in enumerate(points):
        beaten = any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        repeats = (cost, gain) in [points[other] for other in kept if other != at]
        assert (at in kept) != (beaten or repeats)


def test_the_frontier_runs_from_the_cheapest_to_the_best():
    assert pareto([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7), (3, 0.8)]) == [1, 3, 0]


def test_a_step_line_is_followed_closely_in_both_directions():
    found = step_points([(0.0, 100.0), (40.0, 60.0)], end=60.0)
    assert (0.0, 100.0) in found
    assert (40.0, 60.0) in found
    for x, y in found:
        assert any(0 < abs(x - a) + abs(y - b) <= 8 for a, b in found)
