"""Threads: create, find, change, and move through their states."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from threadkeep.client.models import Page, Thread
from threadkeep.client.transport import Transport

ThreadRef = str | Thread
"""A thread, or its id."""


def id_of(thread: ThreadRef) -> str:
    """The id of a thread."""
    return thread if isinstance(thread, str) else thread.id


class Threads:
    """The threads of one user."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        *,
        external_id: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Thread:
        """A new thread; with `external_id` the one that has it already is returned instead.

        Only with `external_id` is a lost answer asked for again.
        """
        body: dict[str, Any] = {"metadata": dict(metadata or {})}
        if external_id is not None:
            body["external_id"] = external_id
        if title is not None:
            body["title"] = title
        is_repeatable = external_id is not None
        send = self._transport.call if is_repeatable else self._transport.call_once
        return await send("POST", "/v1/threads", Thread, body=body)

    async def get(self, thread: ThreadRef) -> Thread:
        """A thread as it is now."""
        return await self._transport.call("GET", _path(thread), Thread)

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        state: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        q: str | None = None,
        updated_since: datetime | None = None,
    ) -> Page[Thread]:
        """One page of the list, what was active last first."""
        query = {
            "limit": str(limit),
            "after": after,
            "state": state,
            "q": q,
            "metadata": msgspec.json.encode(dict(metadata)).decode() if metadata else None,
            "updated_since": updated_since.isoformat() if updated_since else None,
        }
        given = {name: value for name, value in query.items() if value is not None}
        return await self._transport.call("GET", "/v1/threads", Page[Thread], query=given)

    async def list(self, *, limit: int = 100, **narrow: Any) -> AsyncIterator[Thread]:
        """All threads, page by page; takes what `page` takes."""
        after: str | None = None
        while True:
            page = await self.page(after=after, limit=limit, **narrow)
            for thread in page.data:
                yield thread
            if not page.has_more or page.next is None:
                return
            after = page.next

    async def update(
        self,
        thread: ThreadRef,
        *,
        title: str | msgspec.UnsetType | None = msgspec.UNSET,
        metadata: Mapping[str, Any] | None = None,
        if_version: int | None = None,
    ) -> Thread:
        """Merge title and metadata; `StaleVersion` when it is no longer at `if_version`."""
        body: dict[str, Any] = {}
        if title is not msgspec.UNSET:
            body["title"] = title
        if metadata is not None:
            body["metadata"] = dict(metadata)
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        return await self._transport.call_once(
            "PATCH", _path(thread), Thread, body=body, headers=headers
        )

    async def pause(self, thread: ThreadRef) -> Thread:
        """Refuse messages until it is resumed."""
        return await self._act(thread, "pause")

    async def resume(self, thread: ThreadRef) -> Thread:
        """Take messages again."""
        return await self._act(thread, "resume")

    async def complete(self, thread: ThreadRef) -> Thread:
        """Mark as done; the next message reopens it."""
        return await self._act(thread, "complete")

    async def archive(self, thread: ThreadRef) -> Thread:
        """Put away."""
        return await self._act(thread, "archive")

    async def unarchive(self, thread: ThreadRef) -> Thread:
        """Bring back to its former state."""
        return await self._act(thread, "unarchive")

    async def delete(self, thread: ThreadRef) -> Thread:
        """Delete for 30 days, then for good."""
        return await self._transport.call_once("DELETE", _path(thread), Thread)

    async def undelete(self, thread: ThreadRef) -> Thread:
        """Take a deletion back."""
        return await self._act(thread, "undelete")

    async def mark_read(self, thread: ThreadRef, seq: int) -> None:
        """Note up to where the user has read; it never goes back."""
        path = f"{_path(thread)}/read_marker"
        await self._transport.call("PUT", path, dict[str, Any], body={"seq": seq})

    async def _act(self, thread: ThreadRef, action: str) -> Thread:
        return await self._transport.call_once("POST", f"{_path(thread)}/{action}", Thread)


def _path(thread: ThreadRef) -> str:
    return f"/v1/threads/{id_of(thread)}"
