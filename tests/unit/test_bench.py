"""The figures of `make bench` judge as they say, also when nothing was measured."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ..bench import baseline
from ..bench.figures import Single, latencies


def test_percentiles_are_samples_and_nothing_gives_none() -> None:
    found = latencies(n / 1000 for n in range(1, 1001))

    assert found == {"p50_ms": 500.0, "p99_ms": 990.0, "p999_ms": 999.0, "max_ms": 1000.0}
    assert all(math.isnan(value) for value in latencies([]).values())


@pytest.mark.parametrize(
    ("value", "is_whole", "is_reached"),
    [(50.0, True, True), (50.1, True, False), (math.nan, True, False), (1.0, False, False)],
)
def test_a_figure_is_reached_only_when_all_of_it_was_measured(
    value: float, *, is_whole: bool, is_reached: bool
) -> None:
    single = Single("latency", value, "ms", 50, 10, is_whole=is_whole)

    assert single.is_reached is is_reached


def test_a_line_falls_behind_below_its_part_of_the_baseline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(baseline, "PATH", tmp_path / "baseline.json")
    baseline.keep([_line("fast", 1.0), _line("slow", 0.5)])

    fallen = baseline.fallen([_line("fast", 0.59), _line("slow", 0.31), _line("new", 0.01)])

    assert fallen == ["fast 0.59 A instead of 1.00 A"]
    assert json.loads(baseline.PATH.read_text(encoding="utf-8")) == {"fast": 1.0, "slow": 0.5}


def _line(name: str, per_a: float) -> dict[str, object]:
    return {"name": name, "median": {"per_a": per_a}}
