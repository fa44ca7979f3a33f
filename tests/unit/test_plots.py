"""What a chart shows is what was measured."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ..scenarios.charts import curves, timeline
from ..scenarios.reporting.plots import svg

_CIRCLE = re.compile(r'<circle cx="([\d.]+)" cy="([\d.]+)"')


def test_a_larger_value_is_drawn_higher_and_a_larger_level_further_right() -> None:
    chart = curves("latency", x="users", y="ms", lines={"average": [(10, 5), (200, 20)]})

    (x1, y1), (x2, y2) = [(float(x), float(y)) for x, y in _CIRCLE.findall(svg(chart.as_dict()))]

    assert x1 < x2
    assert y1 > y2


def test_a_timeline_counts_what_was_served_and_refused_in_each_step() -> None:
    probes = [(0.0, 0.01, True), (0.1, 0.11, True), (30.0, 35.0, False), (59.9, 60.0, True)]

    chart = timeline("outage", {"write": probes}, [(29.9, "away")])

    step = 0.2
    assert chart.lines["write"] == [
        [0.0, 2, 0, 0.01],
        [30.0, 0, 1, 5.0],
        [round(int(59.9 / step) * step, 2), 1, 0, 0.1],
    ]
    assert chart.marks == [(29.9, "away")]


def test_every_probe_of_a_timeline_is_in_it_however_long_it_is() -> None:
    probes = [(n / 10, n / 10 + 0.01, n % 7 > 0) for n in range(20_000)]

    chart = timeline("long", {"write": probes}, [])

    steps = chart.lines["write"]
    assert sum(served for _, served, _, _ in steps) == sum(is_ok for _, _, is_ok in probes)
    assert sum(refused for _, _, refused, _ in steps) == sum(not is_ok for _, _, is_ok in probes)
    assert len(steps) <= 301


def test_charts_are_well_formed_whatever_they_are_called() -> None:
    chart = timeline("<a & b>", {"write": [(0.0, 0.5, False)]}, [(0.1, "<away>")])

    for each in (chart, curves("none & <all>", x="<x>", y="&", lines={"<l>": [(1, 0)]})):
        drawn = ET.fromstring(svg(each.as_dict()))  # noqa: S314 - our own text

        assert each.name in "".join(drawn.itertext())
