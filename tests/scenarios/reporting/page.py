"""The report as one HTML file without anything outside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from ..levels import table
from . import plots
from .model import STATUSES, Report, RowReport

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; color: #1c2024; background: #fff; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem;
  text-transform: capitalize; }
p { margin: .25rem 0; } .quiet { color: #5c6570; font-size: .9rem; }
.totals { display: flex; gap: .5rem; margin: 1rem 0; flex-wrap: wrap; }
.tag { display: inline-block; border-radius: 4px; padding: .1rem .5rem; font-weight: 600;
  font-size: .85rem; white-space: nowrap; }
.proven { background: #d8f3dc; color: #14532d; } .failed { background: #fddede; color: #7f1d1d; }
.inconclusive { background: #fdf0cc; color: #6b4e00; }
.not-built { background: #e7eaee; color: #454d57; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top;
  border-top: 1px solid #dde1e6; padding: .45rem .6rem; }
th { font-size: .85rem; color: #5c6570; border-top: 0; } td.n { text-align: right; }
.rows td:nth-child(1) { width: 30%; } .rows td:nth-child(2) { width: 17%; }
ul { margin: 0; padding-left: 1.1rem; } li { overflow-wrap: anywhere; }
details summary { cursor: pointer; color: #5c6570; } pre { white-space: pre-wrap; font-size: .8rem;
  background: #f5f6f8; padding: .6rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0 0; max-width: 46rem; } figure svg { width: 100%; height: auto; }
figure text { font: 11px system-ui, sans-serif; fill: #454d57; }
figcaption { color: #5c6570; font-size: .85rem; } .wide td { border-top: 0; padding-top: 0; }
.missed { color: #9a1b1b; font-weight: 600; }
@media print { body { margin: 0; max-width: none; } }
"""
_SHOWN = 6
"""Figures of a row that are seen without a click."""


def html_page(report: Report, facts: dict[str, Any]) -> str:
    """The whole page."""
    rows = report.rows()
    body = "\n".join([*_head(report, facts, rows), *_sections(rows), *_levels(report)])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Threadkeep scenarios</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _head(report: Report, facts: dict[str, Any], rows: list[RowReport]) -> Iterator[str]:
    counts = Counter(row.status for row in rows)
    yield "<h1>Threadkeep: the 41 scenarios</h1>"
    judged = "absolute times judged" if report.is_judging else "absolute times only recorded"
    yield (
        f'<p class="quiet">Commit {escape(facts["commit"])}, {escape(facts["date"])}, profile '
        f"<b>{escape(report.profile)}</b>, {judged}.</p>"
    )
    machine = facts["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
    yield (
        f'<p class="quiet">{machine["processors"]} processors, {machine["memory_gb"]} GB, load '
        f"{machine['load'][0]}. {escape(versions)}.</p>"
    )
    yield '<div class="totals">'
    for status in STATUSES:
        yield f"{_tag(status, f'{counts[status]} {status}')}"
    yield "</div>"
    yield (
        '<p class="quiet">Proven: every test passed and a sabotage turned one red. Inconclusive: '
        "passed without such a control, a time limit missed, or not run here.</p>"
    )


def _sections(rows: list[RowReport]) -> Iterator[str]:
    for category, members in groupby(rows, key=lambda each: each.row.category):
        yield f'<h2>{escape(category)}</h2><table class="rows">'
        yield "<tr><th>scenario</th><th>status</th><th>figures</th><th>turned red by</th></tr>"
        for each in members:
            yield _row(each)
        yield "</table>"


def _row(each: RowReport) -> str:
    row = each.row
    wanted = "; ".join(part for part in (row.original, row.own) if part)
    red = [
        f"<li>{escape(c.breaks)} <span class=quiet>({escape(c.commit)})</span></li>"
        for c in each.controls
        if c.is_red
    ]
    return (
        f"<tr><td><b>{escape(row.name)}</b><p>{escape(row.holds)}</p>"
        f'<p class="quiet">{escape(wanted)}</p></td>'
        f"<td>{_tag(each.status, each.status)}<p class=quiet>{escape(each.why)}</p>"
        f"{_tests(each)}</td><td>{_figures(each)}</td><td><ul>{''.join(red)}</ul></td></tr>"
        f"{_charts(each)}"
    )


def _charts(each: RowReport) -> str:
    drawn = "".join(plots.svg(chart) for outcome in each.outcomes for chart in outcome.charts)
    return f'<tr class="wide"><td colspan="4">{drawn}</td></tr>' if drawn else ""


def _tests(each: RowReport) -> str:
    if not each.outcomes:
        return ""
    items = "".join(
        f"<li>{escape(o.test.rpartition('::')[2])}: {escape(o.outcome)}, {o.seconds:.1f} s"
        + (f"<pre>{escape(o.message[-3000:])}</pre>" if o.message else "")
        + "</li>"
        for o in each.outcomes
    )
    count = f"{len(each.outcomes)} tests, n = {each.samples:,}"
    return f"<details><summary>{count}</summary><ul>{items}</ul></details>"


def _figures(each: RowReport) -> str:
    lines = [_figure(figure) for outcome in each.outcomes for figure in outcome.figures]
    shown, rest = lines[:_SHOWN], lines[_SHOWN:]
    text = f"<ul>{''.join(shown)}</ul>" if shown else ""
    if rest:
        text += f"<details><summary>{len(rest)} more</summary><ul>{''.join(rest)}</ul></details>"
    return text


def _figure(figure: dict[str, Any]) -> str:
    against = ""
    if figure["limit"] is not None:
        sign = "&gt;" if figure["at_least"] else "&lt;"
        kind = "quiet" if figure["verdict"] == "passed" else "missed"
        against = f' <span class="{kind}">{sign} {figure["limit"]:g}: {figure["verdict"]}</span>'
    value = f"{figure['value']:,.6g} {escape(figure['unit'])}".strip()
    return (
        f"<li>{escape(figure['name'])}: <b>{value}</b>{against} "
        f'<span class="quiet">n={figure["n"]:,}</span></li>'
    )


def _levels(report: Report) -> Iterator[str]:
    profiles = list(table()[0][1])
    yield "<h2>Levels</h2><table><tr><th>amount</th>"
    for name in profiles:
        mark = " (this run)" if name == report.profile else ""
        yield f"<th>{escape(name)}{mark}</th>"
    yield "</tr>"
    for amount, values in table():
        cells = "".join(f"<td>{values[name]:,}</td>" for name in profiles)
        yield f"<tr><td>{escape(amount.replace('_', ' '))}</td>{cells}</tr>"
    yield "</table>"


def _tag(status: str, text: str) -> str:
    return f'<span class="tag {status.replace(" ", "-")}">{escape(text)}</span>'
