"""Entries of the log, their one canonical form, epochs and cursors (spec: data.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from threadkeep.domain import ids

MESSAGE: Final = "message"
"""The kind of an entry that a person or a model wrote; every other kind is an event."""

THREAD_CREATED: Final = "thread_created"
THREAD_UPDATED: Final = "thread_updated"
THREAD_DELETED: Final = "thread_deleted"
THREAD_STATE_CHANGED: Final = "thread_state_changed"


class Draft(msgspec.Struct, frozen=True):
    """An entry that is about to be appended: it has no place in the log yet."""

    id: str
    kind: str
    body: str
    """Canonical JSON of the payload."""
    run: str | None = None
    occurred_at: datetime | None = None
    """When it happened elsewhere, for imports; never decides the order."""


class Entry(msgspec.Struct, frozen=True):
    """One row of the log as every reader gets it.

    A struct, because very many are made: a frozen dataclass takes ten times as long.
    """

    tenant: str
    thread: str
    epoch: str
    seq: int
    id: str
    kind: str
    run: str | None
    body: str
    at: datetime

    def canonical(self) -> bytes:
        """The JSON object that HTTP, SSE and WebSocket carry, byte for byte."""
        prefix = ids.MESSAGE if self.kind == MESSAGE else ids.EVENT
        run = f'"run_{self.run}"' if self.run else "null"
        return (
            f'{{"v":1,"id":"{prefix}_{self.id}","type":"{self.kind}","epoch":"{self.epoch}",'
            f'"seq":{self.seq},"tenant_id":"ten_{self.tenant}","thread_id":"thr_{self.thread}",'
            f'"run_id":{run},"ts":"{timestamp(self.at)}","payload":{self.body}}}'
        ).encode()


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, always with six digits of a second."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:26] + "Z"  # several times as fast as strftime


@lru_cache(maxsize=65536)
def epoch_of(database_salt: int, thread_salt: int) -> str:
    """The epoch of a thread: one hash over the salt of the database and its own, 16 digits."""
    raw = database_salt.to_bytes(8, "big", signed=True) + thread_salt.to_bytes(
        8, "big", signed=True
    )
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one history of one thread: everything up to `seq` has been seen."""

    epoch: str
    seq: int

    def text(self) -> str:
        """The form that callers see and send back."""
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that `text` spells, or None when it is not one."""
        epoch, dash, digits = text.partition("-")
        if not dash or not epoch.isalnum() or not digits.isascii() or not digits.isdigit():
            return None
        return cls(epoch, int(digits)) if len(epoch) <= 32 and len(digits) <= 18 else None
