"""Charts as SVG inside the page: nothing is loaded, nothing is scripted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

_WIDTH: Final = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 24, 34
_HEIGHT: Final = 220
_COLOURS: Final = ("#1f6feb", "#bf5600", "#1a7f37", "#8250df", "#a40e26", "#57606a")
_WIDE: Final = 50
"""From this ratio of the largest to the smallest on, the horizontal axis is logarithmic."""
_ROW: Final = 26
_SERVED, _MIXED, _REFUSED = "#2da44e", "#d4a72c", "#cf222e"

Scale = Callable[[float], float]


def svg(chart: dict[str, Any]) -> str:
    """A chart of `charts.py` as a figure with its name below."""
    draw = _timeline if chart["kind"] == "timeline" else _lines
    height, parts = draw(chart)
    label = escape(chart["name"])
    body = "".join(parts)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">'
        f"{body}</svg><figcaption>{label}</figcaption></figure>"
    )


def _lines(chart: dict[str, Any]) -> tuple[int, Iterator[str]]:
    xs = sorted({x for line in chart["lines"].values() for x, _ in line})
    ys = [y for line in chart["lines"].values() for _, y in line]
    across = _across(xs)
    top = _nice(max(ys, default=1.0))
    down = _scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    height = _HEIGHT + 18

    def parts() -> Iterator[str]:
        yield from _grid(top, down, chart["y"])
        for x in xs:
            yield _text(across(x), _HEIGHT - _BOTTOM + 14, f"{x:,.0f}", "middle")
        yield _text(_WIDTH - _RIGHT, _HEIGHT - 4, chart["x"], "end")
        at = float(_LEFT)
        for colour, (label, line) in zip(_COLOURS, chart["lines"].items(), strict=False):
            yield _curve(
                [(across(x), down(y), f"{label}: {y:g} at {x:,.0f}") for x, y in line], colour
            )
            yield f'<rect x="{at:.0f}" y="{height - 11}" width="9" height="9" fill="{colour}"/>'
            yield _text(at + 13, height - 3, label)
            at += 28 + 7 * len(label)

    return height, parts()


def _curve(points: Sequence[tuple[float, float, str]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
        f"<title>{escape(t)}</title></circle>"
        for x, y, t in points
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _timeline(chart: dict[str, Any]) -> tuple[int, Iterator[str]]:
    rows: dict[str, list[list[float]]] = chart["lines"]
    starts = sorted({bucket[0] for row in rows.values() for bucket in row})
    step = min((b - a for a, b in pairwise(starts)), default=0.1)
    end = (starts[-1] if starts else 0.0) + step
    across = _scale(0, end, _LEFT, _WIDTH - _RIGHT)
    bottom = _TOP + 16 + _ROW * len(rows)

    def parts() -> Iterator[str]:
        for number, (label, row) in enumerate(rows.items()):
            y = _TOP + 16 + _ROW * number
            yield _text(_LEFT - 6, y + 13, label, "end")
            for bucket in row:
                yield _bucket(bucket, across, step, y)
        for at, label in chart["marks"]:
            x = across(at)
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP + 4}" y2="{bottom}" stroke="#24292f" '
                'stroke-dasharray="3 3"/>'
            )
            yield _text(x, _TOP, f"{label} {at:.1f} s", "middle" if x < _WIDTH - 80 else "end")
        for tick in range(6):
            seconds = end * tick / 5
            yield _text(across(seconds), bottom + 14, f"{seconds:.0f} s", "middle")

    return bottom + 22, parts()


def _bucket(bucket: Sequence[float], across: Scale, step: float, y: float) -> str:
    start, served, refused, longest = bucket
    colour = _REFUSED if not served else _MIXED if refused else _SERVED
    told = f"{start:.1f} s: {served:.0f} served, {refused:.0f} refused, longest {longest:.2f} s"
    return (
        f'<rect x="{across(start):.1f}" y="{y}" width="{across(step) - across(0) + 0.3:.1f}" '
        f'height="{_ROW - 8}" fill="{colour}"><title>{told}</title></rect>'
    )


def _grid(top: float, down: Scale, unit: str) -> Iterator[str]:
    for part in range(5):
        value = top * part / 4
        y = down(value)
        ends = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        yield f'<line {ends} stroke="#d8dee4"/>'
        yield _text(_LEFT - 6, y + 4, f"{value:,.4g}", "end")
    yield _text(_LEFT - 6, 12, unit, "end")


def _across(xs: Sequence[float]) -> Scale:
    if xs and xs[0] > 0 and xs[-1] / xs[0] >= _WIDE:
        inner = _scale(math.log(xs[0]), math.log(xs[-1]), _LEFT + 8, _WIDTH - _RIGHT - 16)
        return lambda x: inner(math.log(x))
    return _scale(min(xs, default=0.0), max(xs, default=1.0), _LEFT + 8, _WIDTH - _RIGHT - 16)


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _nice(value: float) -> float:
    """The next round number."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
