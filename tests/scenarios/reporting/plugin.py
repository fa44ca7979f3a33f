"""Marks, figures and outcomes of scenario tests on their way into the report."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from ...support.sides import is_side
from ..catalogue import NAMES
from ..figures import Figures
from ..levels import profile_of
from .model import Control, Outcome, Report
from .write import terminal_lines, write_all

FIGURES = pytest.StashKey[Figures]()
REPORT = pytest.StashKey[Report]()
DEFAULT_FOLDER = Path(__file__).parents[3] / "build" / "scenarios"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the scenarios."""
    group = parser.getgroup("scenarios")
    group.addoption("--profile", default=None, help="how much the scenarios do: ci|laptop|cluster")
    group.addoption("--judge", action="store_true", help="let missed absolute times fail tests")
    group.addoption(
        "--record-controls", action="store_true", help="keep this run's controls in the repository"
    )
    group.addoption(
        "--scenario-report", default=None, metavar="DIR", help="where the report is written"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a report."""
    config.addinivalue_line("markers", "scenario(category, name): a row of the catalogue")
    config.addinivalue_line("markers", "part(category, name): of a row that it does not prove")
    config.stash[REPORT] = Report(
        profile=profile_of(config), is_judging=config.getoption("--judge")
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each scenario test its category as a mark, and its row as a property."""
    for item in items:
        for marker in [m for m in item.iter_markers() if m.name in {"scenario", "part"}]:
            category, name = marker.args
            if (category, name) not in NAMES:
                raise pytest.UsageError(f"{item.nodeid}: no scenario {category}, {name}")
            item.add_marker(category)
            item.user_properties.append((marker.name, f"{category}/{name}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hand the figures over, and judge them where that was asked for."""
    figures = item.stash.get(FIGURES, None)
    if figures is None:
        return (yield)
    try:
        result = yield
    finally:
        item.user_properties.extend(
            ("figure", json.dumps(figure.as_dict())) for figure in figures.all
        )
    if item.config.stash[REPORT].is_judging and figures.failed:
        pytest.fail("; ".join(figure.text() for figure in figures.failed), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hand the charts over; as properties they would swell JUnit's file."""
    report = yield
    figures = item.stash.get(FIGURES, None)
    vars(report)["charts"] = [chart.as_dict() for chart in figures.charts] if figures else []
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let reports of tests find the session's report."""
    session.config.pluginmanager.register(_Collector(session.config.stash[REPORT]), "_scenarios")


class _Collector:
    """Takes every test's outcome as it is reported."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the call's outcome, and that of a set-up or tear-down that did not pass."""
        if report.when != "call" and report.passed:
            return
        properties: dict[str, list[str]] = {}
        for key, value in report.user_properties:
            properties.setdefault(key, []).append(str(value))
        charts, figures = getattr(report, "charts", []), properties.get("figure", [])
        for row in (*properties.get("scenario", []), *properties.get("part", [])):
            self._report.add(row, Outcome.of(report, figures, charts))
        for control in properties.get("control", []):
            self._report.controls.append(Control.parse(control))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report when there is something to say."""
    report = session.config.stash[REPORT]
    if is_side(session.config):
        return
    if report.outcomes:
        write_all(report, folder_of(session.config))
    if report.controls and session.config.getoption("--record-controls"):
        report.record_controls()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    config = terminalreporter.config
    report = config.stash[REPORT]
    if report.outcomes and config.getoption("--scenario-report") is None:
        terminalreporter.write_sep("=", "scenarios")
        for line in terminal_lines(report):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"report: {folder_of(config) / 'report.html'}")


def folder_of(config: pytest.Config) -> Path:
    """Where the report goes."""
    given = config.getoption("--scenario-report")
    return Path(given) if given else DEFAULT_FOLDER
