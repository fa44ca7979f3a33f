"""Work of a service that nobody awaits: kept until it is done, and its failures are logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from threadkeep.logs import get_logger

_log = get_logger(__name__)

_CANCEL_SECONDS: Final = 0.5
"""Tasks that have not ended so long after they were cancelled are cancelled again."""


class Tasks:
    """The tasks of one service."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start `work`, which nobody will cancel but `aclose`."""
        _ = self.keep(work)

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The same for a caller that may want to cancel it."""
        task = asyncio.create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def aclose(self) -> None:
        """Cancel all of them and wait until they have ended."""
        while self._tasks:  # a driver may swallow a cancellation, so one may not be enough
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks), timeout=_CANCEL_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task.failed", task=self._name, exc_info=error)
