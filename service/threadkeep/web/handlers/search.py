"""Search in one's own messages."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.entries import timestamp
from threadkeep.services.search import Hit
from threadkeep.web import bodies
from threadkeep.web.keys import PRINCIPAL, SERVICES
from threadkeep.web.responses import listing
from threadkeep.web.schemas.search import SearchQuery


async def search_messages(request: web.Request) -> web.Response:
    """Full text in the caller's own messages, best first."""
    query = bodies.query(request, SearchQuery)
    found = await request.app[SERVICES].search.messages(
        request[PRINCIPAL], query.q, limit=query.limit, after=query.after
    )
    return listing(found, hit_object)


def hit_object(hit: Hit) -> dict[str, Any]:
    """A found message as callers see it."""
    return {
        "thread_id": ids.to_public(ids.THREAD, hit.thread),
        "message_id": ids.to_public(ids.MESSAGE, hit.id),
        "seq": hit.seq,
        "role": hit.role,
        "text": hit.text,
        "ts": timestamp(hit.at),
        "score": hit.score,
    }
