"""What the holder of a run writes. Each call checks the fence and the lease under the lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from threadkeep.domain import events, runs
from threadkeep.domain.run_payloads import HolderEvent, RunMessage
from threadkeep.domain.runs import Place, Run, Written
from threadkeep.domain.threads import APPENDABLE
from threadkeep.errors import Conflict, StaleFence
from threadkeep.services.runs.scribe import Scribe
from threadkeep.services.runs.transactions import RunJournal, RunWriting


class Holders:
    """Use cases of holders.

    A lease that has expired is stale although nobody took over yet: `StaleFence`, and nothing
    changed. While a thread takes no messages a holder can only end its run: `Conflict`.
    """

    def __init__(self, journal: RunJournal) -> None:
        self._journal = journal

    async def append(self, place: Place, fence: int, given: Sequence[HolderEvent]) -> Written:
        """Events, messages and pieces of text, atomically.

        `Conflict` where one is out of order, `TooLarge` where one holds or makes too much text.
        """
        async with self._journal.locked(place) as (writing, scribe):
            _check_held(scribe, fence)
            _check_appendable(writing)
            await scribe.write(given)
            await writing.save(scribe)
        return Written(writing.head.last_seq, scribe.run.cancel_requested)

    async def complete(
        self,
        place: Place,
        fence: int,
        *,
        response: object = None,
        message: RunMessage | None = None,
        usage: dict[str, Any] | None = None,
    ) -> Run:
        """The run is done; a repeat by the same holder gets the same answer."""
        async with self._ending(place, fence) as (writing, scribe):
            if scribe.run.status not in events.TERMINAL:
                if message is not None:
                    _check_appendable(writing)
                    await scribe.message(message, "message")
                scribe.finish(events.DONE, response=response, usage=usage)
        return scribe.run

    async def fail(
        self, place: Place, fence: int, *, error: str, usage: dict[str, Any] | None = None
    ) -> Run:
        """The holder gives up: `failed`, or `cancelled` where that was asked for."""
        async with self._ending(place, fence) as (_, scribe):
            if scribe.run.status not in events.TERMINAL:
                is_cancelled = scribe.run.cancel_requested
                status = events.CANCELLED if is_cancelled else events.FAILED
                scribe.finish(status, error=error, usage=usage, close_calls=True)
        return scribe.run

    async def interrupt(self, place: Place, fence: int, *, error: str) -> Run:
        """The thread no longer takes what the holder writes."""
        async with self._ending(place, fence) as (_, scribe):
            if scribe.run.status not in events.TERMINAL:
                scribe.finish(events.INTERRUPTED, error=error, close_calls=True)
        return scribe.run

    async def hand_over(self, place: Place, fence: int) -> None:
        """Let go of a run so that another holder takes it at once."""
        async with self._journal.locked(place) as (writing, scribe):
            _check_held(scribe, fence)
            if scribe.run.cancel_requested:
                scribe.expel(events.CANCELLED, "Cancelled.")
            else:
                scribe.let_go(events.RECOVERING, runs.HANDED_OVER)
            await writing.save(scribe)

    @asynccontextmanager
    async def _ending(self, place: Place, fence: int) -> AsyncIterator[tuple[RunWriting, Scribe]]:
        """For the holder, and once more for the one that ended the run itself."""
        async with self._journal.locked(place) as (writing, scribe):
            has_ended = scribe.run.status in events.TERMINAL and scribe.run.fence == fence
            if not has_ended:
                _check_held(scribe, fence)
            yield writing, scribe
            if not has_ended:
                await writing.save(scribe)


def _check_held(scribe: Scribe, fence: int) -> None:
    run = scribe.run
    is_held = run.lease_until is not None and run.lease_until > scribe.now
    if run.status != events.RUNNING or run.fence != fence or not is_held:
        raise StaleFence


def _check_appendable(writing: RunWriting) -> None:
    state = writing.head.state
    if state not in APPENDABLE:
        raise Conflict(f"A thread that is {state} takes nothing from a run.", state=state)
