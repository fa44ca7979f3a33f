"""What the report knows, and how it judges a row."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pytest

from ..catalogue import ROWS, Row
from . import surroundings

Status = Literal["proven", "failed", "inconclusive", "not built"]
STATUSES: tuple[Status, ...] = ("proven", "failed", "inconclusive", "not built")

_SCENARIOS = Path(__file__).parents[1]
RECORDED = _SCENARIOS.parent / "sabotage" / "controls.json"
_MARK = re.compile(r'mark\.scenario\(\s*"([^"]+)",\s*"([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one test ended."""

    test: str
    outcome: str
    phase: str
    seconds: float
    message: str
    figures: list[dict[str, Any]]
    charts: list[dict[str, Any]]

    @classmethod
    def of(
        cls, report: pytest.TestReport, figures: list[str], charts: list[dict[str, Any]]
    ) -> Outcome:
        """From what pytest reports."""
        message = report.longreprtext
        if isinstance(report.longrepr, tuple):
            message = report.longrepr[2]
        return cls(
            test=report.nodeid,
            outcome=report.outcome,
            phase=str(report.when),
            seconds=round(report.duration, 3),
            message=message if report.outcome != "passed" else "",
            figures=[json.loads(figure) for figure in figures],
            charts=charts,
        )


@dataclass(frozen=True, kw_only=True)
class Control:
    """A mechanism broken on purpose, and whether the row's tests noticed."""

    name: str
    row: str
    breaks: str
    tests: list[str]
    is_red: bool
    commit: str
    date: str
    sources: str
    """Digest over the files of the tests: a control counts for these only."""

    @classmethod
    def parse(cls, text: str) -> Control:
        """From the property of a test under tests/sabotage."""
        given = json.loads(text)
        date = datetime.now(UTC).date().isoformat()
        digest = surroundings.digest_of_sources(given["tests"])
        commit = surroundings.commit()
        return cls(**given, commit=commit, date=date, sources=digest)


@dataclass(frozen=True, kw_only=True)
class RowReport:
    """One row of the catalogue after a run."""

    row: Row
    status: Status
    why: str
    outcomes: list[Outcome]
    controls: list[Control]

    @property
    def samples(self) -> int:
        """The largest number of samples behind one of its figures."""
        return max((f["n"] for o in self.outcomes for f in o.figures), default=len(self.outcomes))


@dataclass
class Report:
    """One run."""

    profile: str
    is_judging: bool
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    controls: list[Control] = field(default_factory=list)
    """Those of this run."""

    def add(self, row: str, outcome: Outcome) -> None:
        """Keep a test's outcome under its row."""
        self.outcomes.setdefault(row, []).append(outcome)

    def record_controls(self) -> None:
        """Keep the controls of this run for runs that cannot make their own."""
        kept = [asdict(each) for each in sorted(self.controls, key=lambda c: (c.row, c.name))]
        RECORDED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def rows(self) -> list[RowReport]:
        """All rows, whether they were run or not."""
        return [self._row(row) for row in ROWS]

    def as_dict(self) -> dict[str, Any]:
        """For report.json."""
        return {
            **surroundings.facts(),
            "profile": self.profile,
            "judged": self.is_judging,
            "rows": [
                {
                    "category": each.row.category,
                    "scenario": each.row.name,
                    "holds": each.row.holds,
                    "figures_original": each.row.original,
                    "figures_own": each.row.own,
                    "status": each.status,
                    "why": each.why,
                    "samples": each.samples,
                    "tests": [asdict(outcome) for outcome in each.outcomes],
                    "controls": [asdict(control) for control in each.controls],
                }
                for each in self.rows()
            ],
        }

    def _row(self, row: Row) -> RowReport:
        key = f"{row.category}/{row.name}"
        outcomes = self.outcomes.get(key, [])
        controls = self._controls_of(key)
        status, why = _judge(is_built=key in self._built, outcomes=outcomes, controls=controls)
        return RowReport(row=row, status=status, why=why, outcomes=outcomes, controls=controls)

    def _controls_of(self, key: str) -> list[Control]:
        fresh = {(control.name, control.row) for control in self.controls}
        recorded = [each for each in self._recorded if (each.name, each.row) not in fresh]
        return [each for each in (*self.controls, *recorded) if each.row == key]

    @cached_property
    def _built(self) -> set[str]:
        return {
            f"{category}/{name}"
            for path in _SCENARIOS.rglob("test_*.py")
            for category, name in _MARK.findall(path.read_text("utf-8"))
        }

    @cached_property
    def _recorded(self) -> list[Control]:
        """Controls of earlier runs, of tests that have not changed since."""
        if not RECORDED.exists():
            return []
        controls = [Control(**each) for each in json.loads(RECORDED.read_text("utf-8"))]
        return [
            each for each in controls if each.sources == surroundings.digest_of_sources(each.tests)
        ]


def _judge(
    *, is_built: bool, outcomes: list[Outcome], controls: list[Control]
) -> tuple[Status, str]:
    if failed := [each for each in outcomes if each.outcome == "failed"]:
        return "failed", f"{len(failed)} of {len(outcomes)} tests failed"
    if not is_built:
        return "not built", "tested in part only" if outcomes else "no test"
    doubt = _doubt_in_tests(outcomes) or _doubt_in_controls(controls)
    return ("inconclusive", doubt) if doubt else ("proven", "")


def _doubt_in_tests(outcomes: list[Outcome]) -> str:
    if not outcomes:
        return "not run"
    for each in outcomes:
        if each.outcome == "skipped":
            return f"could not run: {each.message.removeprefix('Skipped: ')}"
    figures = [figure for each in outcomes for figure in each.figures]
    missed = [each["name"] for each in figures if each["verdict"] in {"failed", "inconclusive"}]
    return f"time limit missed: {', '.join(missed)}" if missed else ""


def _doubt_in_controls(controls: list[Control]) -> str:
    if blind := [each.name for each in controls if not each.is_red]:
        return f"sabotage went unnoticed: {', '.join(blind)}"
    return "" if controls else "passed, but no sabotage has turned it red"
