"""Threads, runs and answers as the service shows them. Fields unknown here are left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Thread(msgspec.Struct, kw_only=True):
    """A conversation."""

    id: str
    tenant_id: str
    owner: str
    external_id: str | None
    title: str | None
    metadata: dict[str, Any]
    version: int
    state: str
    hold: bool
    epoch: str
    last_seq: int
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime

    @property
    def cursor(self) -> str:
        """Where a reader stands who has seen everything up to now."""
        return f"{self.epoch}-{self.last_seq}"


class AppendedMessage(msgspec.Struct):
    """Where one message stands in the log."""

    id: str
    seq: int
    ts: datetime


class Appended(msgspec.Struct):
    """The answer to an append, the same for every repeat of it."""

    data: list[AppendedMessage]
    first_seq: int
    last_seq: int
    epoch: str

    @property
    def cursor(self) -> str:
        """Where a reader stands who has seen these messages and everything before."""
        return f"{self.epoch}-{self.last_seq}"


class Run(msgspec.Struct, kw_only=True):
    """One execution of an agent."""

    id: str
    thread_id: str
    agent: str
    status: str
    attempt: int = 0
    input: dict[str, Any] = {}
    error: str | None = None
    usage: dict[str, Any] | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None


class RunStarted(msgspec.Struct):
    """A run that is queued, and the message that was appended with it."""

    run: Run
    first_seq: int
    message_id: str | None = None


class Hit(msgspec.Struct):
    """A message that a search found."""

    thread_id: str
    message_id: str
    seq: int
    role: str
    text: str
    score: float


class Page(msgspec.Struct, Generic[T]):
    """A part of a list."""

    data: list[T]
    has_more: bool
    next: str | None = None
    previous: str | None = None


class EntryPage(msgspec.Struct):
    """A part of a log, ascending by seq."""

    data: list[msgspec.Raw]
    has_more: bool
    epoch: str
    last_seq: int
    next: str | None = None
    previous: str | None = None
