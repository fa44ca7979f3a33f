"""The report as JSON, Markdown and HTML, and as a table on the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..levels import table
from .model import STATUSES, Report, RowReport
from .page import html_page


def write_all(report: Report, folder: Path) -> None:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = report.as_dict()
    _write(folder / "report.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    _write(folder / "report.md", "\n".join(_markdown(report, facts)) + "\n")
    _write(folder / "report.html", html_page(report, facts))


def totals(rows: list[RowReport]) -> str:
    """How many rows of each status; "not built" is never left out."""
    counts = Counter(row.status for row in rows)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES) + f" of {len(rows)}"


def terminal_lines(report: Report) -> Iterator[str]:
    """One line per row, and the totals."""
    rows = report.rows()
    for each in rows:
        name = f"{each.row.category}: {each.row.name}"
        yield f"{each.status:<13}{name:<46} {each.why or _brief(each)}"
    yield totals(rows)


def _brief(each: RowReport) -> str:
    return f"{len(each.outcomes)} tests, n={each.samples:,}, {len(each.controls)} sabotages"


def _markdown(report: Report, facts: dict[str, Any]) -> Iterator[str]:
    rows = report.rows()
    yield f"# Scenarios: {totals(rows)}"
    yield ""
    yield f"Profile {report.profile}, commit {facts['commit']}, {facts['date']}."
    yield "Versions: " + ", ".join(f"{k} {v}" for k, v in facts["versions"].items()) + "."
    yield ""
    yield "| scenario | status | samples | figures | turned red by |"
    yield "|---|---|---|---|---|"
    for each in rows:
        status = f"{each.status}: {each.why}" if each.why else each.status
        figures = "<br>".join(text for text in figure_lines(each))
        controls = "<br>".join(f"{c.breaks} ({c.commit})" for c in each.controls if c.is_red)
        samples = f"{each.samples:,}" if each.outcomes else ""
        cells = (f"{each.row.category}: {each.row.name}", status, samples, figures, controls)
        yield (
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        )
    yield ""
    yield "| amount | " + " | ".join(table()[0][1]) + " |"
    yield "|---" * (1 + len(table()[0][1])) + "|"
    for amount, values in table():
        yield f"| {amount} | " + " | ".join(f"{value:,}" for value in values.values()) + " |"


def figure_lines(each: RowReport) -> Iterator[str]:
    """Each figure of a row in one line."""
    for outcome in each.outcomes:
        for figure in outcome.figures:
            limit = figure["limit"]
            sign = ">" if figure["at_least"] else "<"
            against = "" if limit is None else f" ({sign} {limit:g}: {figure['verdict']})"
            unit = f" {figure['unit']}" if figure["unit"] else ""
            yield f"{figure['name']}: {figure['value']:,.6g}{unit}{against}, n={figure['n']:,}"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
