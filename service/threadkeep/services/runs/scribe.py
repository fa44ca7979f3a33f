"""Writes one run under the lock of its thread's head: every event passes here, whoever sends it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import structs

from threadkeep.domain import documents, events, ids, messages, runs
from threadkeep.domain.entries import MESSAGE, Draft
from threadkeep.domain.limits import STREAMING_BYTES, TEXT_BYTES
from threadkeep.domain.run_payloads import (
    Executing,
    HolderEvent,
    MessageDelta,
    RequiresAction,
    RunMessage,
    Thinking,
    ToolCompleted,
)
from threadkeep.domain.runs import OpenCall, Run
from threadkeep.errors import Conflict, TooLarge
from threadkeep.services.journal import Writing, event
from threadkeep.storage import partials
from threadkeep.storage import runs as store
from threadkeep.storage.partials import Kept, Piece

_ERROR_LENGTH: Final = 2000
"""Characters of an error that the run's row keeps; the log has all of them."""


class Scribe:
    """A locked run: `run` as it will be, and the events that make it so.

    Nothing is written before `save`, except that messages and pieces of text bring what was
    noted before them into the log first, so that the order stays the caller's.
    """

    def __init__(self, writing: Writing, run: Run, now: datetime) -> None:
        self._writing = writing
        self._drafts: list[Draft] = []
        self._progress = run.progress
        self._drop_text = False
        self.run = run
        self.now = now
        """The database's time, taken after the lock of the head."""
        self.pieces: list[Piece] = []
        """New text of messages that are still streaming."""

    def start(self) -> None:
        """agent_started: the run's turn has come."""
        self._add(events.STARTED, runs.request_of(self.run))
        self.run = replace(self.run, started=True)

    def hold(self, worker: str, lease: timedelta) -> None:
        """Give the run to a holder; it goes on where the last one stopped.

        Text that the last one left unfinished is void: the new holder begins its message again.
        """
        run = self.run
        if not run.started:
            self.start()
        elif run.attempt:
            self._resume()
        first = run.attempt == 0
        self.run = replace(
            self.run,
            status=events.RUNNING,
            attempt=run.attempt + (first or run.reason == runs.LEASE_EXPIRED),
            fence=run.fence + 1,
            lease_until=self.now + lease,
            worker=worker,
            reason=None,
            started_at=run.started_at or self.now,
        )

    def let_go(self, status: str, reason: str | None) -> None:
        """Take the run from its holder; it waits in `status`."""
        self.run = replace(
            self.run, status=status, reason=reason, fence=self.run.fence + 1, lease_until=None
        )

    def request_cancel(self) -> None:
        """Tell the holder with its next heartbeat or write."""
        self.run = replace(self.run, cancel_requested=True)

    def expel(self, status: str, error: str) -> None:
        """End the run whoever holds it, and refuse what that holder sends from now on."""
        self.run = replace(self.run, fence=self.run.fence + 1)
        self.finish(status, error=error, close_calls=True)

    def finish(
        self,
        status: str,
        *,
        response: object = None,
        error: str | None = None,
        usage: dict[str, Any] | None = None,
        close_calls: bool = False,
    ) -> None:
        """The one agent_completed; `Conflict` where tool calls are open and may not be closed."""
        if not self.run.started:
            self.start()
        if close_calls:
            self._close_calls()
        payload = {
            "status": status,
            "response": response,
            "error": error,
            "usage": usage,
            "duration_ms": runs.duration_ms(self.run, self.now),
        }
        self._add(events.COMPLETED, {k: v for k, v in payload.items() if v is not None})
        self._drop_text = True
        self.run = replace(
            self.run,
            status=status,
            reason=None,
            lease_until=None,
            usage=usage,
            error=error and error[:_ERROR_LENGTH],
            ended_at=self.now,
        )

    def complete_call(self, call_id: str, outcome: dict[str, Any], took: int | None = None) -> None:
        """tool_completed with `results` or `error`; `Conflict` where no such call is open."""
        call = self.run.open_calls.get(call_id)
        payload: dict[str, Any] = {"call_id": call_id, **outcome}
        if call is not None:
            spent = runs.milliseconds(self.now - call.at) if took is None else took
            payload |= {"tool_name": call.tool_name, "duration_ms": spent}
        self._add(events.TOOL_COMPLETED, payload, call_id)
        left = {key: value for key, value in self.run.open_calls.items() if key != call_id}
        self.run = replace(self.run, open_calls=left)

    async def write(self, given: Sequence[HolderEvent]) -> None:
        """What the holder sends, in its order."""
        for n, item in enumerate(given):
            match item:
                case Thinking():
                    self._add(events.THINKING, item)
                case Executing():
                    self._execute(item)
                case ToolCompleted():
                    outcome = item.outcome(f"events[{n}].payload")
                    self.complete_call(item.call_id, outcome, item.duration_ms)
                case RequiresAction():
                    self._require_action(item)
                case RunMessage():
                    await self.message(item, f"events[{n}].payload")
                case MessageDelta():
                    await self._delta(item, f"events[{n}].payload")

    async def message(self, given: RunMessage, field: str) -> str:
        """A message of the run; the digits of its id.

        One that stands in the log already is not appended again; another text under its id
        raises `IdempotencyMismatch`.
        """
        self._progress = self._progress.after(MESSAGE)
        draft = messages.draft(given, field, self.run.id)
        draft = structs.replace(draft, id=given.message_id or draft.id)
        await self._flush()
        idem, digest = uuid.UUID(draft.id).bytes, documents.digest_of(draft.body.encode())
        if await self._writing.find_repeat(idem, digest) is None:
            await self._writing.append(draft, idem=idem, digest=digest)
        await partials.remove(self._writing.connection, self.run, draft.id)
        self.pieces = [piece for piece in self.pieces if piece.message != draft.id]
        return draft.id

    async def save(self) -> None:
        """Bring everything into the transaction."""
        await self._flush()
        if self._drop_text:
            await partials.remove(self._writing.connection, self.run)
        await store.save(self._writing.connection, self.run)

    def _add(self, kind: str, payload: object, call_id: str | None = None) -> None:
        self._progress = self._progress.after(kind, call_id)
        self._drafts.append(event(kind, payload, run=self.run.id))

    async def _flush(self) -> None:
        drafts, self._drafts = self._drafts, []
        if drafts:
            await self._writing.append(*drafts)

    def _resume(self) -> None:
        run = self.run
        attempt = run.attempt + (run.reason == runs.LEASE_EXPIRED)
        payload = {"attempt": attempt, "previous_worker": run.worker, "reason": run.reason}
        self._add(events.RESUMED, payload)
        self._close_calls()
        self._drop_text = True

    def _close_calls(self) -> None:
        for call_id in list(self.run.open_calls):
            self.complete_call(call_id, {"error": runs.INTERRUPTED_CALL})

    def _execute(self, given: Executing) -> None:
        self._add(events.EXECUTING, given, given.call_id)
        call = OpenCall(given.tool_name, self.now)
        self.run = replace(self.run, open_calls={**self.run.open_calls, given.call_id: call})

    def _require_action(self, given: RequiresAction) -> None:
        if self.run.cancel_requested:  # nobody would tell the holder any more: it lets go here
            self.expel(events.CANCELLED, "Cancelled.")
            return
        payload: dict[str, Any] = {"call_ids": sorted(self.run.open_calls)}
        if given.reason is not None:
            payload["reason"] = given.reason
        self._add(events.REQUIRES_ACTION, payload)
        self.let_go(events.ACTION_REQUIRED, None)

    async def _delta(self, given: MessageDelta, field: str) -> None:
        """Keep a piece of text, without what of it is kept already."""
        self._progress = self._progress.after("message_delta")
        documents.canonical(given.text, field=f"{field}.text", limit=TEXT_BYTES * 6)
        connection, head = self._writing.connection, self._writing.head
        idem = uuid.UUID(given.message_id).bytes
        if await store.has_key(connection, head, idem):
            public = ids.to_public(ids.MESSAGE, given.message_id)
            raise Conflict(f"The message {public} is finished.")
        kept = await partials.measure(connection, self.run, given.message_id)
        known = kept.characters
        offset = known if given.offset is None else given.offset
        if offset > known:
            raise Conflict(f"{known} characters came before this piece, not {offset}.")
        text = given.text[known - offset :]
        if text:
            _check_room(kept, text, field)
            piece = Piece(given.message_id, known, text)
            await partials.add(connection, self.run, piece)
            self.pieces.append(piece)


def _check_room(kept: Kept, text: str, field: str) -> None:
    """`TooLarge` for text that no message could be completed with, or too much that is none yet."""
    size = len(text.encode())
    if kept.bytes + size > TEXT_BYTES:
        raise TooLarge(
            f"{field}.text makes the message {kept.bytes + size} bytes of text;"
            f" {TEXT_BYTES} are allowed."
        )
    if kept.run_bytes + size > STREAMING_BYTES:
        raise TooLarge(
            f"{field}.text makes the run's unfinished messages {kept.run_bytes + size} bytes"
            f" of text; {STREAMING_BYTES} are allowed."
        )
