"""Latencies as they are published, and single figures with the limit they are held against."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


def latencies(seconds: Iterable[float]) -> dict[str, float]:
    """The median, 99th and 99.9th percentile and the largest, in milliseconds; NaN of nothing."""
    ranked = sorted(seconds)
    return {
        "p50_ms": _percentile(ranked, 50),
        "p99_ms": _percentile(ranked, 99),
        "p999_ms": _percentile(ranked, 99.9),
        "max_ms": _percentile(ranked, 100),
    }


def _percentile(ranked: list[float], percent: float) -> float:
    if not ranked:
        return math.nan
    at = min(len(ranked) - 1, math.ceil(len(ranked) * percent / 100) - 1)
    return ranked[at] * 1000


@dataclass(frozen=True)
class Single:
    """A figure that must not be larger than its limit."""

    name: str
    value: float
    unit: str
    must: float
    aim: float
    beside: str = ""
    """What else belongs to it: how many, how spread."""
    is_whole: bool = True
    """False when not everything came that should have come: then no value reaches its limit."""

    @property
    def is_reached(self) -> bool:
        """NaN, the value of no samples, is not."""
        return self.is_whole and self.value <= self.must
