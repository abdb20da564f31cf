from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.report.svg import axis_of, chart, name_tags, point_x, point_y

values = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=9)


@settings(deadline=None)
@given(values, st.booleans())
def test_every_value_and_tick_lies_on_the_axis(values, log):
    axis = axis_of(values, "size", log=log)
    for value in [*values, *axis.ticks()]:
        assert -1e-6 <= axis.place(value) <= 1 + 1e-6


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(1, 2), (6.4, 33), (0.5, 900), (4.8e5, 1.9e6)])
def test_an_axis_has_a_few_ticks(low, high, log):
    assert 2 <= len(axis_of([low, high], "x", log=log).ticks()) <= 12


def test_a_chart_is_well_formed_and_larger_values_are_further_right_and_higher():
    x, y = axis_of([1, 10], "latency <ms>", log=True), axis_of([0.2, 0.4], "IoU", unit=0.01, suffix=" %")
    svg = ElementTree.fromstring(chart(x, y, ['<circle r="1"/>'], title='a "b" & c'))
    assert svg.attrib["aria-label"] == 'a "b" & c'
    texts = [each.text for each in svg.iter("text")]
    assert "latency <ms>" in texts
    assert "30 %" in texts
    assert point_x(x, 10) > point_x(x, 1)
    assert point_y(y, 0.4) < point_y(y, 0.2)


def test_names_beside_points_cover_neither_each_other_nor_the_edge():
    tags = name_tags([(300.0, 250.0, "one"), (302.0, 250.0, "two"), (540.0, 250.0, "a long name")], limit=546)
    places = [re.search(r'x="([\d.]+)" y="([\d.]+)"', tag) for tag in tags]
    assert all(places)
    (_, y1), (_, y2), (x3, _) = ((float(place[1]), float(place[2])) for place in places if place)
    assert abs(y1 - y2) >= 13
    assert x3 < 540
    assert "&lt;" in name_tags([(9.0, 9.0, "<")], limit=99)[0]
