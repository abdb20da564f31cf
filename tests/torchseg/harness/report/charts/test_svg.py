from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.harness.report.charts.svg import FRAME, Axis, axis_of, chart, name_tags, place_names, point_x, point_y

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


def test_a_name_far_from_its_point_is_joined_to_it():
    tags = name_tags([(200.0, 100.0, f"name {at}<") for at in range(12)])
    assert sum(tag.startswith("<text") for tag in tags) == 12
    assert 1 <= sum(tag.startswith("<line") for tag in tags) <= 10
    assert any("name 11&lt;" in tag for tag in tags)


@pytest.mark.parametrize(("x", "side"), [(100.0, ""), (390.0, ' text-anchor="end"'), (240.0, ' text-anchor="middle"')])
def test_a_name_touches_the_side_of_its_room_that_is_nearest_to_its_point(x, side):
    """The room is for the widest letters: a narrow name at its far side would leave a gap before its line."""
    walls = [(x + aside, 8.0 * row) for aside in (-45.0, 45.0) for row in range(40)] if "middle" in side else []
    (name,) = (each for each in name_tags([(x, 100.0, "narrow")], points=walls) if each.startswith("<text"))
    assert name.endswith(f'"{side}>narrow</text>')


spots = st.tuples(st.floats(FRAME[0], FRAME[2]), st.floats(FRAME[1], FRAME[3]))


@settings(deadline=None)
@given(st.lists(st.tuples(spots, st.text("abc", min_size=1, max_size=30)), max_size=12), st.lists(spots, max_size=8))
def test_names_cover_neither_each_other_nor_a_point_nor_the_frame(named, points):
    tags = place_names([(x, y, name) for (x, y), name in named], points=points)
    for at, tag in enumerate(tags):
        left, top, right, bottom = tag.box
        assert FRAME[0] <= left < right <= FRAME[2]
        assert FRAME[1] <= top < bottom <= FRAME[3]
        for x, y in [*points, *(spot for spot, _ in named)]:
            assert not (left < x < right and top < y < bottom)
        for other in tags[:at]:
            assert right <= other.box[0] or other.box[2] <= left or bottom <= other.box[1] or other.box[3] <= top


def test_a_name_without_room_is_left_out():
    assert place_names([(200.0, 100.0, "x" * 200)]) == []


def test_tick_labels_of_five_characters_fit_beside_the_axis_label_and_the_last_one_inside_the_chart():
    axis = Axis(label="Recall", low=0.0, high=1.0, unit=0.01, suffix=" %")
    narrow = Axis(label="Mean IoU", low=0.73, high=0.745, unit=0.01, suffix=" %")
    svg = chart(axis, narrow, [], title="t")
    character = 7.0  # of ticks in 12 pixels
    ends = [float(at) for at in re.findall(r'<text class="tick" x="([\d.]+)" y="[\d.]+" text-anchor="end">', svg)]
    assert ends[0] - character * len("74.5 %") > 13 + 6  # the axis label is 12 pixels high around 13
    last = max(float(at) for at in re.findall(r'x="([\d.]+)" y="[\d.]+" text-anchor="middle">\d+ %', svg))
    assert last + character * len("100 %") / 2 <= 420
