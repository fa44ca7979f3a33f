"""With `--numprocesses 2` the tests in a cluster run beside all others: they mostly wait for it.

Each side keeps its order, so neither meets anything that it would not meet alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from .sides import is_side


def pytest_configure(config: pytest.Config) -> None:
    """Name each failure when it happens: dots of two sides do not tell where it was."""
    if config.getoption("numprocesses", None) and not is_side(config):
        config.pluginmanager.register(_Failures(config))


class _Failures:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line for a test, a set-up or a tear-down that failed."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if report.failed and reporter is not None:
            reporter.write(f"\nfailed ({report.when}): {report.nodeid}\n")


@pytest.hookimpl(optionalhook=True)  # the suites' image has no pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Two scopes, each of them run by one process from its beginning to its end."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - as above

    class Sides(LoadScopeScheduling):  # type: ignore[misc]  # it publishes no types
        def _split_scope(self, nodeid: str) -> str:
            return "cluster" if nodeid.startswith("tests/cluster/") else "all others"

    return Sides(config, log)
