"""Start a run: the message that it answers, the run and its first event are one commit.

agent_started stands in that commit when the run's turn is now; a run that has to wait says
run_queued instead, and agent_started follows in the transaction of its first claim. One that ends
before its turn has both its agent_started and its agent_completed in the commit that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

from threadkeep.domain import documents, events, ids, messages
from threadkeep.domain.entries import THREAD_STATE_CHANGED, Draft, Entry
from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.domain.run_payloads import check_name
from threadkeep.domain.runs import RUN_INPUT_BYTES, RUNNABLE, IfBusy, Run, RunStarted, request_of
from threadkeep.domain.threads import ACTIVE, APPENDABLE, COMPLETED, DELETED
from threadkeep.errors import Conflict, Gone, IdempotencyMismatch, InvalidRequest
from threadkeep.services.journal import event
from threadkeep.services.messages import idem_of
from threadkeep.services.rates import Rates
from threadkeep.services.runs.transactions import RunJournal, RunWriting
from threadkeep.storage import runs as store
from threadkeep.storage.database import Record

_POLICIES: Final = get_args(IfBusy)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What a caller asks for."""

    agent: str
    message: Message | None
    input: dict[str, Any]
    if_busy: str
    key: str | None


@dataclass(frozen=True, slots=True)
class _Checked:
    """The same after everything that needs no database."""

    request: StartRequest
    draft: Draft | None
    idem: bytes | None
    digest: bytes


class Starts:
    """The use case of starting."""

    def __init__(self, journal: RunJournal, rates: Rates) -> None:
        self._journal = journal
        self._rates = rates

    async def start(self, principal: Principal, thread: str, request: StartRequest) -> RunStarted:
        """Start, or the first answer to the same key; `Conflict` where the thread is busy."""
        checked = _check(request)
        if request.message is not None:
            self._rates.take_messages(principal, 1)
        async with self._journal.writing(principal, thread) as runs:
            if runs.head.state == DELETED:
                raise Gone
            first = await _find_first(runs, checked)
            return await (_repeat(runs, first) if first else _start(runs, checked))


def _check(request: StartRequest) -> _Checked:
    check_name(request.agent, "agent")
    if request.if_busy not in _POLICIES:
        raise InvalidRequest(f"if_busy is one of {list(_POLICIES)}.", field="if_busy")
    given = documents.canonical(request.input, field="input", limit=RUN_INPUT_BYTES)
    draft = None if request.message is None else messages.draft(request.message)
    body = b"" if draft is None else draft.body.encode()
    digest = documents.digest_of(
        b"run", request.agent.encode(), body, given, request.if_busy.encode()
    )
    return _Checked(request, draft, idem_of(request.key), digest)


async def _find_first(runs: RunWriting, checked: _Checked) -> Record | None:
    if checked.idem is None:
        return None
    return await runs.writing.find_repeat(checked.idem, checked.digest)


async def _repeat(runs: RunWriting, first: Record) -> RunStarted:
    run = await store.asked_at(runs.writing.connection, runs.head, first["seq"])
    if run is None:
        raise IdempotencyMismatch
    return RunStarted(run, first["seq"], run.message_id, repeated=True)


async def _start(runs: RunWriting, checked: _Checked) -> RunStarted:
    state = runs.head.state
    if state not in APPENDABLE:
        raise Conflict(f"A thread that is {state} takes no runs.", state=state)
    agent = await _find_agent(runs, checked.request.agent)
    must_wait = await _make_way(runs, checked.request.if_busy)
    if state == COMPLETED:
        await _reopen(runs)
    run = _new_run(runs, agent, checked, is_started=not must_wait)
    grown = await _append(runs, run, checked)
    run = replace(
        run,
        asked_seq=grown[-1].seq,
        message_seq=grown[0].seq if checked.draft else None,
        created_at=grown[-1].at,
    )
    await store.insert(runs.writing.connection, run, agent.settings)
    if not must_wait:
        runs.wakes.append((run.kind, run.agent))
    return RunStarted(run, grown[0].seq, run.message_id)


def _new_run(runs: RunWriting, agent: store.Agent, checked: _Checked, *, is_started: bool) -> Run:
    head, request = runs.head, checked.request
    return Run(
        tenant=head.tenant,
        id=ids.new_id(),
        thread=head.thread,
        owner=head.owner,
        agent_id=agent.id,
        agent=agent.name,
        kind=agent.kind,
        concurrent=request.if_busy == "concurrent",
        input=request.input,
        message_id=checked.draft.id if checked.draft else None,
        started=is_started,
        created_at=datetime.now(UTC),  # the entry will say
    )


async def _append(runs: RunWriting, run: Run, checked: _Checked) -> list[Entry]:
    payload = request_of(run)
    asked = (
        event(events.STARTED, payload, run=run.id)
        if run.started
        else event(events.RUN_QUEUED, payload)
    )
    drafts = [checked.draft, asked] if checked.draft else [asked]
    return await runs.writing.append(*drafts, idem=checked.idem, digest=checked.digest)


async def _find_agent(runs: RunWriting, name: str) -> store.Agent:
    agent = await store.find_agent(runs.writing.connection, runs.head.tenant, name)
    if agent is None:
        raise InvalidRequest("There is no agent of this name.", field="agent")
    if agent.kind not in RUNNABLE:
        raise InvalidRequest(
            f"Agents of kind {agent.kind} cannot be run by this version.", field="agent"
        )
    return agent


async def _make_way(runs: RunWriting, if_busy: str) -> bool:
    """Apply the policy to runs that keep the thread busy; True when the new one must wait."""
    if if_busy == "concurrent":
        return False
    busy = await store.busy(runs.writing.connection, runs.head)
    if not busy or if_busy == "enqueue":
        return bool(busy)
    if if_busy == "reject":
        raise Conflict(
            "Another run of this thread has not ended.", run_id=ids.to_public(ids.RUN, busy[0])
        )
    for each in busy:
        scribe = await runs.lock(each)
        scribe.expel(events.INTERRUPTED, "Interrupted by another run.")
        await runs.save(scribe)
        if if_busy == "rollback":
            public = ids.to_public(ids.RUN, each)
            await runs.writing.append(event(events.ROLLED_BACK, {"run_id": public}))
    return False


async def _reopen(runs: RunWriting) -> None:
    version = await store.touch_thread(runs.writing.connection, runs.head)
    payload = {"action": "reopen", "from": COMPLETED, "to": ACTIVE, "version": version}
    await runs.writing.append(event(THREAD_STATE_CHANGED, payload), state=ACTIVE)
