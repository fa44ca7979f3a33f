"""How a test run tells what it did: marks by folder, logs of failures, and what could not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from . import resources
from .programs import Program

_TESTS = Path(__file__).parent.parent
_FOLDERS = frozenset({"unit", "integration", "chart", "scenarios", "bench", "cluster"})
_LAST = ((1, "chart"), (2, "cluster"))
_UNIT_SECONDS = 20.0
"""Wall clock, to find what hangs: a busy machine gives two seconds of work ten times as long."""
_CLUSTER_SECONDS = 300.0


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a list of required resources that would require nothing."""
    if unknown := resources.unknown_kinds():
        raise pytest.UsageError(
            f"THREADKEEP_TEST_REQUIRE: {', '.join(unknown)}; known are {', '.join(resources.KINDS)}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by its folder, so that nobody forgets, and keep unit tests quick.

    Those in a cluster come last: it is built while the others run.
    """
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in _FOLDERS:
            item.add_marker(folder)
        if folder == "unit" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_UNIT_SECONDS))
        if folder in {"chart", "cluster"} and item.get_closest_marker("timeout") is None:
            # The cluster that the first of them starts has time limits of its own.
            item.add_marker(pytest.mark.timeout(_CLUSTER_SECONDS, func_only=True))
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """What needs programs that are being built waits for the rest; the cluster needs the most."""
    return next((n for n, mark in _LAST if item.get_closest_marker(mark) is not None), 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the started programs wrote beside a failure."""
    report = yield
    if report.failed:
        for program in Program.running:
            report.sections.append((f"{program.name} (its log's end)", program.output()))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """List what could not run, last, so that nobody takes a gap for a success."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.write_sep("=", "could not run")
    if not reasons:
        terminalreporter.write_line("nothing: every selected test ran")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} × {reason}")


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
