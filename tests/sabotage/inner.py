"""The pytest that a control runs, forked off a process that has loaded what each of them needs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

import pytest

from .processes import ROOT, sabotage_all

_PRELOADED: Final = [
    "asyncpg",
    "httpx",
    "pytest_asyncio.plugin",
    "tests.sabotage.inner",
    "threadkeep.embedded.postgres",
    "threadkeep.storage.migrate",
    "websockets.asyncio.client",
]
"""No file of tests among them: pytest rewrites their asserts when it loads them itself."""
_NOT_NEEDED: Final = ("anyio", "cacheprovider", "hypothesispytest", "schemathesis")
"""Plugins that no scenario uses; two of them take longer to load than all the rest."""
_SECONDS: Final = 280.0
"""Longest time of one; a busy machine has taken half of that for the longest of them."""


class Runner:
    """Starts them, any number at once."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)

    def run(
        self,
        tests: Sequence[str],
        environment: dict[str, str],
        report: Path,
        log: Path,
        sabotage: str | None,
    ) -> None:
        """Run tests to their end; whatever comes of them stands in `report` and `log`."""
        words = (list(tests), environment, report, log, sabotage)
        process: ForkServerProcess = self._context.Process(target=_pytest, args=words)
        process.start()
        process.join(_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _pytest(
    tests: list[str], environment: dict[str, str], report: Path, log: Path, sabotage: str | None
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("wb") as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
    if sabotage is not None:
        sabotage_all(sabotage)
    without = [word for name in _NOT_NEEDED for word in ("-p", f"no:{name}")]
    # It would like to rewrite the asserts of installed plugins, too, and they are loaded already.
    quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    pytest.main(["-q", *without, *quiet, "--judge", f"--scenario-report={report}", *tests])
