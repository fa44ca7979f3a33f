"""Answers: JSON from objects, lists in their envelope, entries byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from threadkeep.domain.entries import Cursor, Entry
from threadkeep.domain.listing import Listing

T = TypeVar("T")

SERVER: Final = "threadkeep"
"""The header `Server`; it says nothing about what could be attacked."""
SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that does not set them itself."""

_JSON: Final = "application/json"
_encoder: Final = msgspec.json.Encoder()


def answer(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=_encoder.encode(value), status=status, headers=headers, content_type=_JSON
    )


def encoded(body: bytes) -> web.Response:
    """An answer that is JSON already."""
    return web.Response(body=body, content_type=_JSON)


def empty() -> web.Response:
    """Done, and nothing to say."""
    return web.Response(status=204)


def listing(found: Listing[T], show: Callable[[T], Any]) -> web.Response:
    """A page of a list."""
    return answer(envelope(found, show))


def envelope(found: Listing[T], show: Callable[[T], Any]) -> dict[str, Any]:
    """What every list is wrapped in."""
    return {
        "data": [show(item) for item in found.items],
        "has_more": found.has_more,
        "next": found.next,
        "previous": found.previous,
    }


def entries_page(
    entries: list[Entry], *, has_more: bool, has_before: bool, has_after: bool, head: Cursor
) -> bytes:
    """A page of the log: the canonical entries are embedded as they are."""
    epoch = head.epoch
    after = Cursor(epoch, entries[-1].seq).text() if entries and has_after else None
    before = Cursor(epoch, entries[0].seq).text() if entries and has_before else None
    tail = _encoder.encode(
        {
            "has_more": has_more,
            "next": after,
            "previous": before,
            "epoch": epoch,
            "last_seq": head.seq,
        }
    )
    data = b",".join([entry.canonical() for entry in entries])
    return b'{"data":[' + data + b"]," + tail[1:]
