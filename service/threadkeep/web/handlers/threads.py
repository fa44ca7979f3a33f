"""Threads: create, list, read, change, and move through their states."""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.shapes import thread_object
from threadkeep.domain.threads import Thread
from threadkeep.errors import InvalidRequest
from threadkeep.services.threads import ThreadPatch, ThreadQuery
from threadkeep.web import bodies
from threadkeep.web.keys import PRINCIPAL, SERVICES
from threadkeep.web.responses import answer, listing
from threadkeep.web.route import Handler
from threadkeep.web.schemas.threads import ReadMarker, ThreadChange, ThreadCreate, ThreadListQuery

_VERSION: Final = re.compile(r'"?([1-9][0-9]{0,17})"?\Z')


def thread_of(request: web.Request) -> str:
    """The digits of the thread that the path names."""
    return ids.from_public(ids.THREAD, request.match_info["thread_id"])


async def create_thread(request: web.Request) -> web.Response:
    """Create a thread, or get the one with this external id."""
    body = await bodies.body(request, ThreadCreate)
    thread, is_new = await request.app[SERVICES].threads.create(
        request[PRINCIPAL],
        external_id=body.external_id,
        title=body.title,
        metadata=body.metadata,
    )
    return _shown(thread, status=201 if is_new else 200)


async def list_threads(request: web.Request) -> web.Response:
    """Threads of the user."""
    query = bodies.query(request, ThreadListQuery)
    found = await request.app[SERVICES].threads.list(request[PRINCIPAL], _query(query))
    return listing(found, thread_object)


async def get_thread(request: web.Request) -> web.Response:
    """One thread."""
    return _shown(await request.app[SERVICES].threads.get(request[PRINCIPAL], thread_of(request)))


async def change_thread(request: web.Request) -> web.Response:
    """Merge title and metadata."""
    body = await bodies.body(request, ThreadChange)
    thread = await request.app[SERVICES].threads.patch(
        request[PRINCIPAL],
        thread_of(request),
        ThreadPatch(title=body.title, metadata=body.metadata),
        if_match=_if_match(request),
    )
    return _shown(thread)


async def delete_thread(request: web.Request) -> web.Response:
    """Delete for 30 days, then for good."""
    return await _act(request, "delete")


def acting(action: str) -> Handler:
    """The handler of one action of the state machine."""

    async def handler(request: web.Request) -> web.Response:
        return await _act(request, action)

    handler.__name__ = f"{action}_thread"
    return handler


async def set_hold(request: web.Request) -> web.Response:
    """Put a thread under legal hold."""
    return await _hold(request, on=True)


async def lift_hold(request: web.Request) -> web.Response:
    """End a legal hold."""
    return await _hold(request, on=False)


async def set_read_marker(request: web.Request) -> web.Response:
    """Note up to where the user has read; it never goes back."""
    body = await bodies.body(request, ReadMarker)
    seq = await request.app[SERVICES].threads.mark_read(
        request[PRINCIPAL], thread_of(request), body.seq
    )
    return answer({"seq": seq})


async def _act(request: web.Request, action: str) -> web.Response:
    return _shown(
        await request.app[SERVICES].threads.act(request[PRINCIPAL], thread_of(request), action)
    )


async def _hold(request: web.Request, *, on: bool) -> web.Response:
    services = request.app[SERVICES]
    return _shown(await services.threads.hold(request[PRINCIPAL], thread_of(request), on=on))


def _shown(thread: Thread, *, status: int = 200) -> web.Response:
    return answer(thread_object(thread), status=status, headers={"ETag": f'"{thread.version}"'})


def _query(query: ThreadListQuery) -> ThreadQuery:
    return ThreadQuery(
        state=query.state,
        external_id=query.external_id,
        metadata=_metadata(query.metadata),
        updated_since=query.updated_since,
        q=query.q,
        limit=query.limit,
        after=query.after,
        before=query.before,
    )


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return bodies.decode(text, dict[str, Any])
    except InvalidRequest as exc:
        raise InvalidRequest(exc.message, field="metadata") from exc


def _if_match(request: web.Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None or given == "*":
        return None
    version = _VERSION.match(given)
    if version is None:
        raise InvalidRequest('If-Match takes one version, as in "3".', field="If-Match")
    return int(version[1])
