"""What a figure cannot say in one number: values over a level or over time, for the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Point = tuple[float, float]

BUCKETS: Final = 300
"""Most steps of a timeline: as many as a reader can tell apart."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over a horizontal axis, or rows of a timeline."""

    name: str
    kind: Literal["lines", "timeline"]
    x: str
    """What the horizontal axis counts, with its unit."""
    y: str
    lines: dict[str, list[list[float]]]
    """Label → points (x, y); of a timeline (from, served, refused, longest wait)."""
    marks: list[tuple[float, str]] = field(default_factory=list)
    """Moments with a name."""

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def curves(name: str, *, x: str, y: str, lines: Mapping[str, Iterable[Point]]) -> Chart:
    """Values over levels."""
    rounded = {
        label: [[float(a), float(f"{b:.4g}")] for a, b in points] for label, points in lines.items()
    }
    return Chart(name=name, kind="lines", x=x, y=y, lines=rounded)


def timeline(
    name: str,
    rows: Mapping[str, Sequence[tuple[float, float, bool]]],
    marks: Sequence[tuple[float, str]],
) -> Chart:
    """Questions over time: label → (sent, answered, whether it was served), in seconds."""
    end = max((answered for row in rows.values() for _, answered, _ in row), default=0.0)
    step = max(0.1, math.ceil(end / BUCKETS * 10) / 10)
    lines = {label: _buckets(row, step) for label, row in rows.items()}
    rounded = [(round(at, 2), label) for at, label in marks]
    return Chart(name=name, kind="timeline", x="seconds", y="", lines=lines, marks=rounded)


def _buckets(row: Sequence[tuple[float, float, bool]], step: float) -> list[list[float]]:
    found: dict[int, list[float]] = {}
    for sent, answered, is_served in row:
        number = int(sent / step)
        bucket = found.setdefault(number, [round(number * step, 2), 0, 0, 0.0])
        bucket[1 if is_served else 2] += 1
        bucket[3] = max(bucket[3], round(answered - sent, 3))
    return [found[number] for number in sorted(found)]
