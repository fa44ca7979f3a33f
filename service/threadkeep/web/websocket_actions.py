"""What each command does. The rules and answers are those of HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from threadkeep.domain import ids, scopes
from threadkeep.domain.runs import RunStarted, run_object
from threadkeep.domain.shapes import thread_object
from threadkeep.domain.threads import ThreadPatch, ThreadQuery
from threadkeep.errors import InvalidRequest
from threadkeep.services.messages import Appended, Verdict
from threadkeep.web import frames
from threadkeep.web import websocket_commands as commands
from threadkeep.web import websocket_following as following
from threadkeep.web.handlers.messages import read_page
from threadkeep.web.responses import envelope
from threadkeep.web.websocket_session import Session

_encode: Final = msgspec.json.Encoder().encode
_NOTHING: Final = b"{}"

Action = Callable[[Session, Any], Awaitable[bytes | None]]
"""Returns the members of the `ok` answer, or None when it has answered itself."""


def begin(session: Session, command: commands.AnyCommand) -> Awaitable[None] | None:
    """Carry out a command: at once where nothing is waited for, else by what is returned."""
    if type(command) is commands.UserMessage and command.run is None:
        _append(session, command)
        return None
    return _perform(session, command)


def _append(session: Session, command: commands.UserMessage) -> None:
    """Queue the message; its answer is sent by the commit. The hot path of the service."""
    re = frames.re_of(command.id)
    session.in_flight += 1
    try:
        services, principal = session.services, session.principal
        scopes.require(principal.scopes, scopes.THREADS_WRITE)
        services.rates.take_request(principal)
        _refuse_if_busy(command)
        services.messages.submit(
            principal,
            ids.from_public(ids.THREAD, command.thread_id),
            (command.message(),),
            command.idempotency_key,
            partial(_landed, session, re, command.thread_id),
        )
    except Exception as exc:  # noqa: BLE001 - a failed command is a frame, never a close
        session.landed()
        session.fail(re, exc, "user_message", command.thread_id)


def _refuse_if_busy(command: commands.UserMessage) -> None:
    if command.if_busy is not None:
        raise InvalidRequest("if_busy goes with run.", field="if_busy")


def _landed(session: Session, re: bytes, thread_id: str, verdict: Verdict) -> None:
    session.landed()
    if isinstance(verdict, Appended):
        session.send(frames.appended(re, verdict.first_seq, verdict.ids[0], verdict.epoch))
    else:
        session.fail(re, verdict, "user_message", thread_id)


async def _perform(session: Session, command: commands.AnyCommand) -> None:
    re = frames.re_of(command.id)
    scope, action = _ACTIONS[type(command)]
    try:
        scopes.require(session.principal.scopes, scope)
        session.services.rates.take_request(session.principal)
        members = await action(session, command)
    except Exception as exc:  # noqa: BLE001 - as above
        session.fail(re, exc, commands.NAMES[type(command)], _target(command))
    else:
        if members is not None:
            session.send(frames.ok(re, members))


def _target(command: commands.AnyCommand) -> str:
    """The id that a command names: what is audited when it is somebody else's."""
    return getattr(command, "thread_id", None) or getattr(command, "run_id", None) or ""


# Threads.


async def _list_threads(session: Session, command: commands.ListThreads) -> bytes:
    query = ThreadQuery(
        state=command.state,
        external_id=command.external_id,
        metadata=command.metadata,
        updated_since=command.updated_since,
        q=command.q,
        limit=command.limit,
        after=command.after,
        before=command.before,
    )
    found = await session.services.threads.list(session.principal, query)
    return _encode(envelope(found, thread_object))


async def _create_thread(session: Session, command: commands.CreateThread) -> bytes:
    thread, is_new = await session.services.threads.create(
        session.principal,
        external_id=command.external_id,
        title=command.title,
        metadata=command.metadata,
    )
    return _encode({"thread": thread_object(thread), "created": is_new})


async def _rename_thread(session: Session, command: commands.RenameThread) -> bytes:
    thread = await session.services.threads.patch(
        session.principal,
        ids.from_public(ids.THREAD, command.thread_id),
        ThreadPatch(title=command.title),
        if_match=command.if_match,
    )
    return _encode({"thread": thread_object(thread)})


async def _delete_thread(session: Session, command: commands.DeleteThread) -> bytes:
    thread = await session.services.threads.act(
        session.principal, ids.from_public(ids.THREAD, command.thread_id), "delete"
    )
    return _encode({"thread": thread_object(thread)})


async def _get_thread_history(session: Session, command: commands.GetThreadHistory) -> bytes:
    thread = ids.from_public(ids.THREAD, command.thread_id)
    kinds = command.kinds.split(",") if command.kinds else None
    return await read_page(session.services.messages, session.principal, thread, command, kinds)


# Runs.


async def _run_with_message(session: Session, command: commands.UserMessage) -> bytes:
    started = await session.services.runs.start(
        session.principal,
        ids.from_public(ids.THREAD, command.thread_id),
        agent=command.run or "",
        message=command.message(),
        if_busy=command.if_busy or "reject",
        key=command.idempotency_key,
    )
    return _started(started)


async def _start_agent(session: Session, command: commands.StartAgent) -> bytes:
    started = await session.services.runs.start(
        session.principal,
        ids.from_public(ids.THREAD, command.thread_id),
        agent=command.agent,
        message=command.message,
        input=command.input,
        if_busy=command.if_busy,
        key=command.idempotency_key,
    )
    return _started(started)


def _started(started: RunStarted) -> bytes:
    message = started.message_id
    return _encode(
        {
            "run": run_object(started.run),
            "seq": started.first_seq,
            "message_id": message and ids.to_public(ids.MESSAGE, message),
        }
    )


async def _stop_agent(session: Session, command: commands.StopAgent) -> bytes:
    run = await session.services.runs.cancel(
        session.principal, ids.from_public(ids.RUN, command.run_id)
    )
    return _encode({"run": run_object(run)})


async def _give_tool_outputs(session: Session, command: commands.GiveToolOutputs) -> bytes:
    run = await session.services.runs.tool_outputs(
        session.principal, ids.from_public(ids.RUN, command.run_id), command.outputs
    )
    return _encode({"run": run_object(run)})


# Beside the log.


async def _typing(session: Session, command: commands.Typing) -> bytes:
    thread = ids.from_public(ids.THREAD, command.thread_id)
    if thread not in session.subscriptions:
        await session.services.threads.get(session.principal, thread)
    session.services.delivery.typing(session.principal, thread, but=session)
    return _NOTHING


async def _ping(_session: Session, _command: commands.Ping) -> bytes:
    return _NOTHING


_ACTIONS: Final[dict[type[msgspec.Struct], tuple[str, Action]]] = {
    commands.Subscribe: (scopes.THREADS_READ, following.subscribe),
    commands.Unsubscribe: (scopes.THREADS_READ, following.unsubscribe),
    commands.SwitchThread: (scopes.THREADS_READ, following.switch_thread),
    commands.ListThreads: (scopes.THREADS_READ, _list_threads),
    commands.CreateThread: (scopes.THREADS_WRITE, _create_thread),
    commands.RenameThread: (scopes.THREADS_WRITE, _rename_thread),
    commands.DeleteThread: (scopes.THREADS_WRITE, _delete_thread),
    commands.GetThreadHistory: (scopes.THREADS_READ, _get_thread_history),
    commands.UserMessage: (scopes.RUNS_WRITE, _run_with_message),
    commands.StartAgent: (scopes.RUNS_WRITE, _start_agent),
    commands.StopAgent: (scopes.RUNS_WRITE, _stop_agent),
    commands.GiveToolOutputs: (scopes.RUNS_WRITE, _give_tool_outputs),
    commands.Typing: (scopes.THREADS_WRITE, _typing),
    commands.Ping: (scopes.THREADS_READ, _ping),
}
"""Command → (scope that it needs, what it does)."""
