"""Measured figures: what a test saw, in which unit, out of how many samples, against which limit.

Counts, orders and ratios are asserted by the tests themselves. Absolute times depend on the
machine: they are judged, the report says how, and only `--judge` lets a bad one fail its test.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from .charts import Chart

Verdict = Literal["passed", "failed", "inconclusive", "recorded"]
_BUSY: Final = 1.5
"""Runnable processes per processor above which a missed time says little about the service."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of one test."""

    name: str
    value: float
    unit: str
    n: int
    limit: float | None = None
    """What the value must stay below (or above, where `at_least`)."""
    at_least: bool = False
    verdict: Verdict = "recorded"

    def text(self) -> str:
        """The figure in one line."""
        sign = ">" if self.at_least else "<"
        limit = "" if self.limit is None else f" ({sign} {_short(self.limit)}: {self.verdict})"
        return f"{self.name} {_short(self.value)} {self.unit}".strip() + f"{limit}, n={self.n}"

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


class Figures:
    """The figures of one test.

    On a busy machine a missed time is excused, unless a sabotage has made sure of it.
    """

    def __init__(self, *, is_excused: bool = True) -> None:
        self.all: list[Figure] = []
        self.charts: list[Chart] = []
        self._is_excused = is_excused

    def record(self, name: str, value: float, unit: str = "", *, n: int) -> None:
        """Keep a figure that has no limit, or whose limit the test asserts itself."""
        assert n > 0, f"{name}: nothing was measured"
        self.all.append(Figure(name=name, value=value, unit=unit, n=n))

    def judge(
        self,
        name: str,
        value: float,
        unit: str = "ms",
        *,
        n: int,
        below: float | None = None,
        above: float | None = None,
    ) -> None:
        """Keep a figure and say whether it is within its limit."""
        assert n > 0, f"{name}: nothing was measured"
        limit = below if below is not None else above
        assert limit is not None, f"{name}: judged against nothing"
        is_good = value < limit if below is not None else value > limit
        missed: Verdict = "inconclusive" if self._is_excused and _is_busy() else "failed"
        self.all.append(
            Figure(
                name=name,
                value=value,
                unit=unit,
                n=n,
                limit=limit,
                at_least=below is None,
                verdict="passed" if is_good else missed,
            )
        )

    def latencies(
        self,
        name: str,
        seconds: Sequence[float],
        *,
        avg: float | None = None,
        p95: float | None = None,
        longest: float | None = None,
    ) -> None:
        """Average, P50, P95, P99 and maximum in ms; those with a limit (ms) are judged."""
        assert seconds, f"{name}: nothing was measured"
        n = len(seconds)
        values = {
            "avg": (sum(seconds) / n, avg),
            "P50": (percentile(seconds, 50), None),
            "P95": (percentile(seconds, 95), p95),
            "P99": (percentile(seconds, 99), None),
            "max": (max(seconds), longest),
        }
        for part, (value, limit) in values.items():
            if limit is None:
                self.record(f"{name} {part}", value * 1000, "ms", n=n)
            else:
                self.judge(f"{name} {part}", value * 1000, "ms", n=n, below=limit)

    def draw(self, chart: Chart) -> None:
        """Keep a chart for the report."""
        self.charts.append(chart)

    @property
    def failed(self) -> list[Figure]:
        """Those outside their limit."""
        return [figure for figure in self.all if figure.verdict == "failed"]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


def _is_busy() -> bool:
    """Whether others keep this machine so busy that a time tells little."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) > _BUSY


def _short(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
