"""Messages and the log of a thread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.entries import MESSAGE, Cursor, timestamp
from threadkeep.domain.events import KINDS
from threadkeep.domain.principals import Principal
from threadkeep.errors import InvalidRequest
from threadkeep.services.messages import Appended, Messages, Page
from threadkeep.web import bodies
from threadkeep.web.handlers.threads import thread_of
from threadkeep.web.keys import PRINCIPAL, SERVICES
from threadkeep.web.responses import answer, encoded, entries_page
from threadkeep.web.schemas.threads import EntryQuery, MessageQuery, MessagesCreate

_MICROSECOND: Final = timedelta(microseconds=1)


async def append_messages(request: web.Request) -> web.Response:
    """Append up to 100 messages atomically."""
    thread = thread_of(request)
    body = await bodies.body(request, MessagesCreate, MessagesCreate.least_keys)
    key = request.headers.get("Idempotency-Key")
    appended = await request.app[SERVICES].messages.append(
        request[PRINCIPAL], thread, body.messages, key
    )
    return answer(appended_object(appended), status=201)


async def list_messages(request: web.Request) -> web.Response:
    """Messages of a thread."""
    return await _page(request, bodies.query(request, MessageQuery), [MESSAGE])


async def list_entries(request: web.Request) -> web.Response:
    """Entries of a thread."""
    query = bodies.query(request, EntryQuery)
    return await _page(request, query, query.kinds.split(",") if query.kinds else None)


def appended_object(appended: Appended) -> dict[str, object]:
    """The answer to an append; the same for each repeat of it."""
    last = appended.first_seq + len(appended.ids) - 1
    data = [
        {
            "id": ids.to_public(ids.MESSAGE, message),
            "seq": appended.first_seq + n,
            "ts": timestamp(appended.at + _MICROSECOND * n),
        }
        for n, message in enumerate(appended.ids)
    ]
    return {
        "data": data,
        "first_seq": appended.first_seq,
        "last_seq": last,
        "epoch": appended.epoch,
        "cursor": Cursor(appended.epoch, last).text(),
    }


async def _page(request: web.Request, query: MessageQuery, kinds: list[str] | None) -> web.Response:
    return encoded(
        await read_page(
            request.app[SERVICES].messages, request[PRINCIPAL], thread_of(request), query, kinds
        )
    )


async def read_page(
    messages: Messages,
    principal: Principal,
    thread: str,
    query: MessageQuery,
    kinds: Sequence[str] | None,
) -> bytes:
    """The part of the log that a query asks for, in the envelope of lists."""
    for kind in kinds or ():
        if kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise InvalidRequest(f"There is no kind `{kind}`; allowed: {known}.", field="kinds")
    after = _cursor(query.after, "after")
    before = _cursor(query.before, "before")
    first = max(query.after_seq or 0, after.seq if after else 0)
    ends = [seq for seq in (query.before_seq, before.seq if before else None) if seq is not None]
    backward = query.backward or (not first and bool(ends))
    page = await messages.page(
        principal,
        thread,
        after=first,
        before=min(ends) if ends else None,
        backward=backward,
        kinds=kinds,
        limit=query.limit + 1,
    )
    _check_epoch(page, after, before)
    return _shown(page, query.limit, first, backward=backward)


def _shown(page: Page, limit: int, after: int, *, backward: bool) -> bytes:
    """One entry more than asked for was read: it tells whether there is more."""
    has_more = len(page.entries) > limit
    if backward:
        entries = page.entries[-limit:]
        has_before, has_after = has_more, bool(entries) and entries[-1].seq < page.last_seq
    else:
        entries = page.entries[:limit]
        has_before, has_after = after > 0, has_more
    return entries_page(
        entries,
        has_more=has_more,
        has_before=has_before,
        has_after=has_after,
        head=Cursor(page.epoch, page.last_seq),
    )


def _cursor(text: str | None, field: str) -> Cursor | None:
    cursor = Cursor.parse(text) if text is not None else None
    if text is not None and cursor is None:
        raise InvalidRequest("This is no cursor.", field=field)
    return cursor


def _check_epoch(page: Page, after: Cursor | None, before: Cursor | None) -> None:
    for field, cursor in (("after", after), ("before", before)):
        if cursor is not None and cursor.epoch != page.epoch:
            raise InvalidRequest("The cursor is from another history.", field=field)
