"""Runs of agents: start, read, cancel, answer; and the side of the workers that hold them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from threadkeep.domain import events
from threadkeep.domain.listing import Listing
from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.domain.run_payloads import (
    RunEvent,
    RunMessage,
    ToolCompleted,
    ToolOutput,
    check_name,
    message_digits,
    parse_events,
)
from threadkeep.domain.runs import (
    OUTPUTS_GIVEN,
    WORKER,
    Claimed,
    Lease,
    LeaseTimes,
    Place,
    Run,
    RunStarted,
    Written,
)
from threadkeep.domain.threads import APPENDABLE, DELETED
from threadkeep.errors import Conflict, Gone, InvalidRequest, NotFound
from threadkeep.services import windows
from threadkeep.services.journal import Journal
from threadkeep.services.rates import Rates
from threadkeep.services.runs.holders import Holders
from threadkeep.services.runs.leases import Leases, Reaper
from threadkeep.services.runs.starts import StartRequest, Starts
from threadkeep.services.runs.transactions import PublishPartial, RunJournal
from threadkeep.services.runs.waiting import Waiting
from threadkeep.services.windows import PageRequest
from threadkeep.storage import leases
from threadkeep.storage import runs as store
from threadkeep.storage.database import Database

WAIT_SECONDS: Final = 30.0
"""Longest wait of one claim."""
AGENTS_PER_CLAIM: Final = 100
OUTPUTS_PER_REQUEST: Final = 100


class Runs:
    """Use cases of runs. Those of workers name the tenant alone and carry a fence."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        publish_partial: PublishPartial,
        rates: Rates,
        times: LeaseTimes | None = None,
    ) -> None:
        self._database = database
        self._waiting = Waiting()
        self._journal = RunJournal(journal, self._waiting, publish_partial)
        self._starts = Starts(self._journal, rates)
        self.times = times or LeaseTimes()
        self.holders = Holders(self._journal)
        """What agents of this process write; others come through the methods below."""
        self._leases = Leases(database, self._journal, self._waiting, self.times)
        self.reaper = Reaper(self._leases)
        """To be started and closed by whoever made this."""

    def stop_waiting(self) -> None:
        """Answer every claim that waits: the process is leaving."""
        self._waiting.close()

    @property
    def is_leaving(self) -> bool:
        """True once nothing waits for work any more."""
        return self._waiting.closed

    async def start(  # noqa: PLR0913 - the words of the route; a dataclass follows at once
        self,
        principal: Principal,
        thread: str,
        *,
        agent: str,
        message: Message | None = None,
        input: dict[str, Any] | None = None,  # noqa: A002 - the word of the route
        if_busy: str = "reject",
        key: str | None = None,
    ) -> RunStarted:
        """Start an agent, with its message in one commit.

        Raises `Conflict` with the run that keeps the thread busy, or with the thread's state, and
        `InvalidRequest` for an agent that the tenant does not have.
        """
        request = StartRequest(
            agent=agent, message=message, input=input or {}, if_busy=if_busy, key=key
        )
        return await self._starts.start(principal, thread, request)

    async def get(self, principal: Principal, run: str) -> Run:
        """One run; `NotFound`, and `Gone` where its thread was deleted."""
        async with self._database.transaction(principal, readonly=True) as connection:
            found = await store.find(connection, principal.tenant, principal.owner, run)
        if found is None:
            raise NotFound
        if found[1] == DELETED:
            raise Gone
        return found[0]

    async def list(self, principal: Principal, thread: str, page: PageRequest) -> Listing[Run]:
        """Runs of a thread, newest first; `NotFound`, and `Gone` for a deleted thread."""
        where = (principal.tenant, principal.owner, thread)
        async with self._database.transaction(principal, readonly=True) as connection:
            state = await store.thread_state(connection, *where)
            if state is None:
                raise NotFound
            if state == DELETED:
                raise Gone
            return await windows.listing(
                page, lambda window: store.page(connection, *where, window), lambda run: run.id
            )

    async def cancel(self, principal: Principal, run: str) -> Run:
        """Ask the holder to stop; a run that nobody holds has ended when this returns.

        A run that has ended already is left as it is.
        """
        place = (await self.get(principal, run)).place
        async with self._journal.writing(principal, place.thread) as runs:
            scribe = await runs.lock(run)
            until = scribe.run.lease_until
            if scribe.run.status not in events.ACTIVE:
                return scribe.run
            if until is not None and until > scribe.now:
                scribe.request_cancel()
            else:
                scribe.expel(events.CANCELLED, "Cancelled.")
            await runs.save(scribe)
        return scribe.run

    async def tool_outputs(
        self, principal: Principal, run: str, outputs: Sequence[ToolOutput]
    ) -> Run:
        """Answer open tool calls of a run in `requires_action`; with the last one it goes on.

        Raises `Conflict` for a run in another status and for a call that is not open.
        """
        if not 1 <= len(outputs) <= OUTPUTS_PER_REQUEST:
            raise InvalidRequest(
                f"1 to {OUTPUTS_PER_REQUEST} outputs are taken at once.", field="outputs"
            )
        place = (await self.get(principal, run)).place
        async with self._journal.writing(principal, place.thread) as runs:
            scribe = await runs.lock(run)
            if scribe.run.status != events.ACTION_REQUIRED:
                raise Conflict("The run waits for no tool outputs.", state=scribe.run.status)
            if runs.head.state not in APPENDABLE:
                raise Conflict("The thread takes no tool outputs.", state=runs.head.state)
            for n, output in enumerate(outputs):
                given = ToolCompleted(output.call_id, results=output.results, error=output.error)
                scribe.complete_call(output.call_id, given.outcome(f"outputs[{n}]"))
            if not scribe.run.open_calls:
                scribe.let_go(events.QUEUED, OUTPUTS_GIVEN)
            await runs.save(scribe)
        return scribe.run

    async def claim(
        self, tenant: str, worker: str, agents: Sequence[str] | None, wait_seconds: float
    ) -> Claimed | None:
        """A run of the tenant for an external worker, waiting for one up to 30 s."""
        check_name(worker, "worker")
        if not 0 <= wait_seconds <= WAIT_SECONDS:
            raise InvalidRequest("wait_seconds is 0 to 30.", field="wait_seconds")
        if agents is not None:
            if not 1 <= len(agents) <= AGENTS_PER_CLAIM:
                raise InvalidRequest(f"1 to {AGENTS_PER_CLAIM} agents are named.", field="agents")
            for n, agent in enumerate(agents):
                check_name(agent, f"agents[{n}]")
        return await self._leases.claim(
            worker, kinds=(WORKER,), tenant=tenant, agents=agents, wait_seconds=wait_seconds
        )

    async def claim_local(
        self, worker: str, kinds: Collection[str], wait_seconds: float
    ) -> Claimed | None:
        """A run of any tenant for an agent of this process."""
        return await self._leases.claim(
            worker, kinds=kinds, tenant=None, agents=None, wait_seconds=wait_seconds
        )

    async def heartbeat(self, tenant: str, run: str, fence: int) -> Lease:
        """Renew a lease; `StaleFence` for who does not hold it."""
        return await self._leases.renew(tenant, run, fence)

    async def append_events(
        self, tenant: str, run: str, fence: int, given: Sequence[RunEvent]
    ) -> Written:
        """Events, messages and pieces of text, atomically."""
        parsed = parse_events(given)
        return await self.holders.append(await self._locate(tenant, run), fence, parsed)

    async def complete(
        self,
        tenant: str,
        run: str,
        fence: int,
        *,
        response: object = None,
        message: RunMessage | None = None,
        usage: dict[str, Any] | None = None,
    ) -> Run:
        """The run is done, with its last message in the same commit where one is given."""
        if message is not None and message.message_id is not None:
            message.message_id = message_digits(message.message_id, "message.message_id")
        place = await self._locate(tenant, run)
        return await self.holders.complete(
            place, fence, response=response, message=message, usage=usage
        )

    async def fail(
        self, tenant: str, run: str, fence: int, *, error: str, usage: dict[str, Any] | None = None
    ) -> Run:
        """The worker gives up, or has stopped because it was asked to."""
        return await self.holders.fail(
            await self._locate(tenant, run), fence, error=error, usage=usage
        )

    async def reap(self) -> int:
        """One look for holders that are gone; the reaper does this by itself."""
        return await self._leases.reap()

    async def _locate(self, tenant: str, run: str) -> Place:
        place = await leases.locate(self._database, tenant, run)
        if place is None:
            raise NotFound
        return place
