"""Transactions on the runs of one thread, and what follows from them after the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from threadkeep.domain import events
from threadkeep.domain.principals import Principal, system_principal
from threadkeep.domain.runs import Place
from threadkeep.errors import NotFound
from threadkeep.services.journal import Journal, Writing
from threadkeep.services.runs.scribe import Scribe
from threadkeep.services.runs.waiting import Waiting
from threadkeep.storage import runs as store
from threadkeep.storage.entries import Head

PublishPartial = Callable[[str, str, str, str, str, int, str], None]
"""(tenant, owner, thread, run, message, offset, text): called after the commit."""


class RunWriting:
    """A transaction that holds the lock of one thread's head and writes its runs."""

    def __init__(self, writing: Writing) -> None:
        self.writing = writing
        self.saved: list[Scribe] = []
        self.wakes: list[tuple[str, str]] = []
        """(kind, agent) of runs that can be claimed now."""

    @property
    def head(self) -> Head:
        """The thread's head as it is after what was written so far."""
        return self.writing.head

    async def lock(self, run: str) -> Scribe:
        """Lock a run of the thread; `NotFound` where it has no such run."""
        found = await store.lock(self.writing.connection, self.head, run)
        if found is None:
            raise NotFound
        return Scribe(self.writing, *found)

    async def save(self, scribe: Scribe) -> None:
        """Write what the scribe has noted, and find out whose turn it is."""
        await scribe.save()
        self.saved.append(scribe)
        run = scribe.run
        if run.status in events.CLAIMABLE:
            self.wakes.append((run.kind, run.agent))
        elif run.status in events.TERMINAL and not run.concurrent:
            following = await store.next_in_line(self.writing.connection, self.head)
            if following is not None:
                self.wakes.append(following)


class RunJournal:
    """Opens such transactions, wakes whoever waits for a run, and publishes streaming text."""

    def __init__(self, journal: Journal, waiting: Waiting, publish: PublishPartial) -> None:
        self._journal = journal
        self._waiting = waiting
        self._publish = publish

    @asynccontextmanager
    async def writing(self, principal: Principal, thread: str) -> AsyncIterator[RunWriting]:
        """Lock the thread's head, let the caller write, commit, publish, wake."""
        async with self._journal.writing(principal, thread) as writing:
            runs = RunWriting(writing)
            yield runs
        for scribe in runs.saved:
            place = scribe.run.place
            where = (place.tenant, place.owner, place.thread, place.run)
            for piece in scribe.pieces:
                self._publish(*where, piece.message, piece.offset, piece.text)
        for kind, agent in runs.wakes:
            self._waiting.wake(principal.tenant, kind, agent)

    @asynccontextmanager
    async def locked(self, place: Place) -> AsyncIterator[tuple[RunWriting, Scribe]]:
        """The same for one run, acting for its owner; the run is locked already."""
        principal = system_principal(place.tenant, place.owner)
        async with self.writing(principal, place.thread) as runs:
            yield runs, await runs.lock(place.run)
