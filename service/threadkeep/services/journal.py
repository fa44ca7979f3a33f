"""Writes to a thread that are more than a message: state, metadata, runs. One transaction each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from threadkeep.domain import documents, ids
from threadkeep.domain.entries import Draft, Entry
from threadkeep.domain.principals import Principal
from threadkeep.errors import IdempotencyMismatch, NotFound
from threadkeep.storage import entries
from threadkeep.storage.database import Connection, Database, Record

Publish = Callable[[str, Sequence[Entry]], None]
"""(owner, entries of one thread): called after the commit, never before."""

_EVENT_BYTES: Final = 1024 * 1024
"""Largest payload of an event; callers set tighter limits on what they take from outside."""


def event(kind: str, payload: object, *, run: str | None = None, field: str = "payload") -> Draft:
    """The draft of an event; `InvalidRequest` or `TooLarge` where the payload cannot be kept."""
    body = documents.canonical(payload, field=field, limit=_EVENT_BYTES)
    return Draft(ids.new_id(), kind, body.decode(), run)


@dataclass(slots=True)
class Writing:
    """A transaction that holds the lock of one thread's head."""

    connection: Connection
    head: entries.Head
    """Kept current by `append`."""
    entries: list[Entry] = field(default_factory=list)

    async def append(
        self,
        *drafts: Draft,
        state: str | None = None,
        idem: bytes | None = None,
        digest: bytes | None = None,
    ) -> list[Entry]:
        """Append, and change the thread's state with it where `state` is given."""
        self.head, grown = await entries.append_locked(
            self.connection, self.head, drafts, state=state, idem=idem, digest=digest
        )
        self.entries.extend(grown)
        return grown

    async def find_repeat(self, idem: bytes, digest: bytes) -> Record | None:
        """The first answer to this key (seq, id, run_id, created_at), if there was one.

        Raises `IdempotencyMismatch` when that was the answer to another request.
        """
        head = self.head
        row = await entries.find_repeat(self.connection, head.tenant, head.owner, head.thread, idem)
        if row is not None and row["digest"] != digest:
            raise IdempotencyMismatch
        return row


class Journal:
    """Opens transactions on threads and publishes what they appended once it is durable."""

    def __init__(self, database: Database, publish: Publish) -> None:
        self._database = database
        self._publish = publish

    def publish(self, owner: str, grown: Sequence[Entry]) -> None:
        """Tell of entries of one thread that somebody else has committed."""
        self._publish(owner, grown)

    @asynccontextmanager
    async def writing(self, principal: Principal, thread: str) -> AsyncIterator[Writing]:
        """Lock the thread's head, let the caller write, commit, publish.

        Raises `NotFound` where the principal sees no such thread, and `Unavailable` where the
        lock is not had within a second.
        """
        async with self._database.transaction(principal) as connection:
            head = await entries.lock_head(connection, principal.tenant, principal.owner, thread)
            if head is None:
                raise NotFound
            writing = Writing(connection, head)
            yield writing
        if writing.entries:
            self._publish(principal.owner, writing.entries)
