"""Shapes of search, tickets and the audit."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from threadkeep.web.schemas.common import (
    Limit,
    MessageId,
    Moment,
    Page,
    PageCursor,
    Seq,
    ThreadId,
)


class SearchQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What to look for."""

    q: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    limit: Limit = 20
    after: PageCursor | None = None


class HitObject(msgspec.Struct):
    """A message that was found."""

    thread_id: ThreadId
    message_id: MessageId
    seq: Seq
    role: str
    text: str
    ts: Moment
    score: float


class HitPage(Page):
    """A page of hits, best first."""

    data: list[HitObject]


class TicketCreate(msgspec.Struct, forbid_unknown_fields=True):
    """A ticket for one socket."""

    origin: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    """The origin of the page that will open the socket; null for a program that sends none."""
    seconds: Annotated[int, msgspec.Meta(ge=1, le=300)] = 60


class TicketAnswer(msgspec.Struct):
    """The ticket; it is shown once."""

    ticket: str
    expires_at: Moment


class SocketQuery(msgspec.Struct, forbid_unknown_fields=True):
    """How a browser opens a socket without a header."""

    ticket: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class StreamQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Where a stream goes on; `Last-Event-ID` comes before it."""

    cursor: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    """`<epoch>-<seq>`; anything else is answered as none is, by a snapshot."""


class AuditRow(msgspec.Struct):
    """Something that was done or refused, how often in its minute."""

    id: str
    at: Moment
    actor: str
    owner: str | None
    action: str
    target: str | None
    count: int
    detail: dict[str, Any]


class AuditPage(Page):
    """A page of the audit, newest first."""

    data: list[AuditRow]
