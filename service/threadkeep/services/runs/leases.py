"""Who holds a run: claims, heartbeats, and the reaper that finds holders that are gone."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Collection, Sequence
from typing import Final

from threadkeep.domain import events, runs
from threadkeep.domain.runs import Claimed, Lease, LeaseTimes, Place, Run
from threadkeep.domain.threads import APPENDABLE, DELETED
from threadkeep.errors import NotFound, StaleFence, ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.runs.scribe import Scribe
from threadkeep.services.runs.transactions import RunJournal, RunWriting
from threadkeep.services.runs.waiting import Waiting
from threadkeep.storage import leases
from threadkeep.storage import runs as store
from threadkeep.storage.database import Database

_log = get_logger(__name__)

_CANDIDATES: Final = 8
"""Runs that a claim tries before it waits: others may be faster with the first ones."""
_REAPED_AT_ONCE: Final = 100
"""Expired runs that one look of the reaper deals with."""


class Leases:
    """Gives runs to holders and takes them away again."""

    def __init__(
        self, database: Database, journal: RunJournal, waiting: Waiting, times: LeaseTimes
    ) -> None:
        self._database = database
        self._journal = journal
        self._waiting = waiting
        self.times = times

    async def claim(
        self,
        worker: str,
        *,
        kinds: Collection[str],
        tenant: str | None,
        agents: Sequence[str] | None,
        wait_seconds: float,
    ) -> Claimed | None:
        """The oldest run that this worker may have, waiting for one; None when there is none."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        with self._waiting.slot(tenant, kinds, agents) as slot:
            while True:
                places = await leases.claimable(
                    self._database, tenant, tuple(kinds), agents, _CANDIDATES
                )
                claimed = await self._claim_one_of(places, worker)
                left = deadline - loop.time()
                if claimed is not None or left <= 0 or self._waiting.closed:
                    return claimed
                await slot.wait(min(left, self.times.poll.total_seconds()))

    async def renew(self, tenant: str, run: str, fence: int) -> Lease:
        """A heartbeat; `StaleFence` for who does not hold the lease, `NotFound` for no run."""
        seconds = self.times.lease.total_seconds()
        renewed = await leases.renew(self._database, tenant, run, fence, seconds)
        if renewed is None:
            raise NotFound
        until, cancel_requested = renewed
        if until is None:
            raise StaleFence
        return Lease(until, cancel_requested)

    async def reap(self) -> int:
        """Take runs from holders whose lease has expired; how many there were."""
        places = await leases.expired(self._database, _REAPED_AT_ONCE)
        reaped = 0
        for place in places:
            try:
                reaped += await self._reap_one(place)
            except ThreadkeepError as exc:  # a busy thread must not keep the others waiting
                _log.warning("runs.reap_failed", run=place.run, error=exc.code)
        return reaped

    async def _claim_one_of(self, places: Sequence[Place], worker: str) -> Claimed | None:
        for place in places:
            try:
                claimed = await self._claim(place, worker)
            except Unavailable as exc:
                if exc.outcome_unknown:
                    raise
                continue
            if claimed is not None:
                return claimed
        return None

    async def _claim(self, place: Place, worker: str) -> Claimed | None:
        async with self._journal.locked(place) as (writing, scribe):
            if not await _is_claimable(writing, scribe.run):
                return None
            scribe.hold(worker, self.times.lease)
            await writing.save(scribe)
            run, connection = scribe.run, writing.writing.connection
            message = (
                await store.entry_at(connection, writing.head, run.message_seq)
                if run.message_seq is not None
                else None
            )
            claimed = Claimed(
                run=run,
                settings=await store.settings_of(connection, run),
                message=message,
                events=await store.entries_of(connection, writing.head, run),
            )
        _log.info("run.claimed", run=run.id, worker=worker, attempt=run.attempt)
        return claimed

    async def _reap_one(self, place: Place) -> bool:
        async with self._journal.locked(place) as (writing, scribe):
            if not self._settle(scribe, is_deleted=writing.head.state == DELETED):
                return False
            await writing.save(scribe)
        _log.warning(
            "run.reaped", run=place.run, worker=scribe.run.worker, status=scribe.run.status
        )
        return True

    def _settle(self, scribe: Scribe, *, is_deleted: bool) -> bool:
        """Decide about a run under the lock; False when it needs nothing (any more)."""
        run = scribe.run
        if run.status not in events.ACTIVE:
            return False
        is_held = run.lease_until is not None and run.lease_until > scribe.now
        is_left = run.status == events.ACTION_REQUIRED and run.cancel_requested
        if is_held or not (run.status == events.RUNNING or is_deleted or is_left):
            return False
        if is_deleted:
            scribe.expel(events.INTERRUPTED, "The thread was deleted.")
        elif run.cancel_requested:
            scribe.expel(events.CANCELLED, "Cancelled.")
        elif run.attempt >= self.times.attempts:
            scribe.expel(events.FAILED, f"Given up: {run.attempt} workers lost it.")
        else:
            scribe.let_go(events.RECOVERING, runs.LEASE_EXPIRED)
        return True


async def _is_claimable(writing: RunWriting, run: Run) -> bool:
    if run.status not in events.CLAIMABLE or writing.head.state not in APPENDABLE:
        return False
    if run.concurrent:
        return True
    busy = await store.busy(writing.writing.connection, writing.head)
    return busy[0] == run.id


class Reaper:
    """Looks for expired leases as long as the process lives."""

    def __init__(self, leases_: Leases) -> None:
        self._leases = leases_
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="reaper")

    async def aclose(self) -> None:
        """Stop; another process goes on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        pause = self._leases.times.reap.total_seconds()
        while True:
            # Several processes look at different moments.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret
            try:
                await self._leases.reap()
            except Unavailable:
                _log.info("runs.reaper_waits")
            except Exception:  # noqa: BLE001 - the reaper must outlive a mistake
                _log.exception("runs.reaper_failed")
