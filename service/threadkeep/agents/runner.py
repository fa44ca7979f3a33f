"""Runs the agents of this process: claims their runs, keeps the leases, plays them, lets go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Final, Protocol

from threadkeep.agents.handle import Handle, RunCancelledError
from threadkeep.agents.librarian import Librarian
from threadkeep.agents.scripted import Scripted
from threadkeep.domain.ids import new_id
from threadkeep.domain.runs import LIBRARIAN, LOCAL_KINDS, SCRIPTED, Claimed
from threadkeep.errors import Conflict, NotFound, StaleFence, ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.messages import Messages
from threadkeep.services.runs import Runs
from threadkeep.services.search import Search

_log = get_logger(__name__)

RUNS: Final = 32
"""Runs that one process plays at once."""
GRACE_SECONDS: Final = 5.0
"""How long runs may finish when the process leaves; then others take them."""
_WAIT_SECONDS: Final = 30.0
_LAST_CLAIM_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0
"""Pause after the database was away."""


class Agent(Protocol):
    """Plays runs of one kind."""

    async def play(self, handle: Handle) -> None:
        """Play one run to its end."""


class Runner:
    """Plays the runs of librarians and scripts, of all tenants."""

    def __init__(
        self,
        runs: Runs,
        messages: Messages,
        search: Search,
        *,
        at_once: int = RUNS,
        name: str | None = None,
    ) -> None:
        self._runs = runs
        self._agents: dict[str, Agent] = {
            LIBRARIAN: Librarian(messages, search),
            SCRIPTED: Scripted(),
        }
        self._free = asyncio.Semaphore(at_once)
        # Another process of this machine, and the next one with this number, have other names.
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"
        self._taking: asyncio.Task[None] | None = None
        self._playing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to claim runs."""
        self._taking = asyncio.create_task(self._take(), name="runner")

    async def aclose(self, grace: float = GRACE_SECONDS) -> None:
        """Claim nothing more, let runs finish for `grace` seconds, hand over what is left.

        Claims of external workers that wait in this process are answered too.
        """
        self._runs.stop_waiting()
        if self._taking is not None:
            # A claim that is being committed brings its run; one that waits for room is cut.
            await asyncio.wait({self._taking}, timeout=_LAST_CLAIM_SECONDS)
            await _stop(self._taking)
        if self._playing:
            _, left = await asyncio.wait(set(self._playing), timeout=grace)
            await _stop(*left)

    @property
    def playing(self) -> int:
        """Runs that are played now, for metrics."""
        return len(self._playing)

    async def _take(self) -> None:
        while not self._runs.is_leaving:
            await self._free.acquire()
            try:
                claimed = await self._claim()
            except BaseException:
                self._free.release()
                raise
            if claimed is None:
                self._free.release()
                continue
            task = asyncio.create_task(self._hold(claimed), name=f"run-{claimed.run.id}")
            self._playing.add(task)
            task.add_done_callback(self._finished)

    async def _claim(self) -> Claimed | None:
        try:
            return await self._runs.claim_local(self.name, LOCAL_KINDS, _WAIT_SECONDS)
        except Unavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
        except Exception:  # noqa: BLE001 - the runner must outlive a mistake
            _log.exception("runner.claim_failed")
            await asyncio.sleep(_PAUSE_SECONDS)
        return None

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._playing.discard(task)
        self._free.release()
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error("run.not_ended", error=type(exc).__name__, exc_info=exc)

    async def _hold(self, claimed: Claimed) -> None:
        """Play a run beside its heartbeats, and see to it that it ends or is let go."""
        handle = Handle(self._runs, claimed)
        play = asyncio.create_task(self._agents[claimed.run.kind].play(handle))
        beat = asyncio.create_task(self._beat(claimed))
        try:
            await asyncio.wait({play, beat}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _stop(play, beat)
            await _let_go(handle)
            raise
        failure = beat.exception() if beat.done() and not beat.cancelled() else None
        if not play.done():
            await _stop(play)
        elif not play.cancelled():
            failure = play.exception()
        await _stop(beat)
        if failure is not None:
            await _end(handle, failure)

    async def _beat(self, claimed: Claimed) -> None:
        """Renew the lease until it is lost or the run is to be cancelled, and raise that."""
        loop, times, run = asyncio.get_running_loop(), self._runs.times, claimed.run
        until = loop.time() + times.lease.total_seconds()
        while True:
            await asyncio.sleep(times.heartbeat.total_seconds())
            try:
                lease = await self._runs.heartbeat(run.tenant, run.id, claimed.fence)
            except Unavailable:
                if loop.time() >= until:
                    raise StaleFence from None
                continue
            except NotFound:
                raise StaleFence from None
            if lease.cancel_requested:
                raise RunCancelledError
            until = loop.time() + times.lease.total_seconds()


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _let_go(handle: Handle) -> None:
    # Where this fails the lease runs out, and the reaper does the same a little later.
    with contextlib.suppress(ThreadkeepError):
        await handle.hand_over()


async def _end(handle: Handle, failure: BaseException) -> None:
    """What becomes of a run whose agent stopped with an exception."""
    run = handle.run.id
    try:
        match failure:
            case StaleFence():
                _log.info("run.lost", run=run)
            case RunCancelledError():
                await handle.fail("Cancelled.")
            case Unavailable():
                # The lease runs out, which counts: handed over at once it might go on for ever.
                _log.warning("run.waits", run=run, error=failure.message)
            case Conflict() if failure.state is not None:
                await handle.interrupt(failure.message)
            case ThreadkeepError():
                await handle.fail(failure.message)
            case _:
                _log.error("run.agent_failed", run=run, exc_info=failure)
                await handle.fail("The agent failed.")
    except StaleFence:
        _log.info("run.lost", run=run)
    except Unavailable:
        _log.warning("run.end_waits", run=run)
