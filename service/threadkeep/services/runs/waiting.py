"""Who waits for work in this process. Wake-ups may be lost: whoever waits also looks by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Slot:
    """One waiter: what it can take, and its event."""

    def __init__(
        self, tenant: str | None, kinds: Collection[str], agents: Collection[str] | None
    ) -> None:
        self._tenant = tenant
        self._kinds = kinds
        self._agents = agents
        self.event = asyncio.Event()

    def takes(self, tenant: str, kind: str, agent: str) -> bool:
        """Whether this waiter may claim such a run."""
        return (
            kind in self._kinds
            and self._tenant in (None, tenant)
            and (self._agents is None or agent in self._agents)
        )

    async def wait(self, seconds: float) -> None:
        """Wait for a wake-up, no longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.event.wait(), seconds)
        self.event.clear()


class Waiting:
    """All waiters of this process. A run wakes one of them, not all."""

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self.closed = False

    @contextmanager
    def slot(
        self, tenant: str | None, kinds: Collection[str], agents: Collection[str] | None
    ) -> Iterator[Slot]:
        """Wait in here; the longest waiter is woken first."""
        slot = Slot(tenant, kinds, agents)
        self._slots.append(slot)
        try:
            yield slot
        finally:
            self._slots.remove(slot)

    def wake(self, tenant: str, kind: str, agent: str) -> None:
        """A run of this kind can be claimed."""
        for slot in self._slots:
            if not slot.event.is_set() and slot.takes(tenant, kind, agent):
                slot.event.set()
                return

    def close(self) -> None:
        """Nobody waits any more: the process is leaving."""
        self.closed = True
        for slot in self._slots:
            slot.event.set()
