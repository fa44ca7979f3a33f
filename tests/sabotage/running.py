"""Controls while they run: each with a database, a deployment and a pytest of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ..support.postgres import Databases, run_now
from .controls import Control
from .deployment import addresses, deployment, outcomes
from .inner import Runner
from .mechanisms.statements import apply

AT_ONCE: Final = 3
"""A control starts processes, then mostly waits; more of them would wait for the processors."""

Outcomes = dict[str, dict[str, Any]]
"""Node id → what became of a test."""


class Running:
    """Begins with all of them at once; each is asked for when its turn to be reported has come."""

    def __init__(self, controls: Sequence[Control], databases: Databases, folder: Path) -> None:
        self._controls = controls
        self._databases = databases
        self._folder = folder
        self._runner = Runner()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="control")
        self._futures: dict[str, Future[Outcomes]] = {}

    def __enter__(self) -> Self:
        for control in self._controls:
            self._futures[control.name] = self._threads.submit(self._run, control)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def outcomes_of(self, control: Control) -> Outcomes:
        """What became of the scenario tests that the control names."""
        return self._futures[control.name].result()

    def _run(self, control: Control) -> Outcomes:
        folder = Path(tempfile.mkdtemp(prefix="sabotage-", dir=self._folder))
        tests = [red.test for red in control.reds]
        if control.is_staged:
            return outcomes(self._runner, tests, folder, sabotage=control.process)
        database = run_now(self._databases.create())
        broken = deployment(database, folder, control.process, control.processes)
        try:
            run_now(apply(database.superuser_url, control.steps))
            broken.start_now()
            return outcomes(self._runner, tests, folder, against=addresses(broken, database))
        finally:
            broken.stop_now()
            run_now(self._databases.drop(database.name))
