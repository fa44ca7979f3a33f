"""Counts what is asked of the database, request by request."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg
import pytest
import structlog

LANES = ""
"""Statements outside of any request: append lanes and background work."""

_CREDENTIAL = "lookup_api_key"
"""Asked once a second, before any id is looked at: on a slow machine by one of two requests that
are compared, and not by the other."""


class Statements:
    """Texts of the statements of each request, in order."""

    def __init__(self) -> None:
        self._by_request: dict[str, list[str]] = defaultdict(list)

    def note(self, logged: Any) -> None:
        """A statement has been answered; called in the context of whoever asked."""
        if _CREDENTIAL in logged.query:
            return
        request = structlog.contextvars.get_contextvars().get("request_id", LANES)
        self._by_request[request].append(logged.query)

    async def of(self, request_id: str) -> list[str]:
        """Statements of one request that has been answered."""
        await asyncio.sleep(0)  # notes are made in the next turn of the event loop
        return self._by_request.get(request_id, [])

    async def appends(self) -> list[str]:
        """Statements of the append lanes since the last call."""
        await asyncio.sleep(0)
        taken = [each for each in self._by_request.pop(LANES, []) if "append_" in each]
        self._by_request.pop(LANES, None)
        return taken


def watch(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Count on every connection that is opened from now on."""
    statements = Statements()
    connect, create_pool = asyncpg.connect, asyncpg.create_pool

    async def connect_watched(*args: Any, **options: Any) -> Any:
        connection = await connect(*args, **options)
        connection.add_query_logger(statements.note)
        return connection

    def create_watched(*args: Any, init: Any, **options: Any) -> Any:
        async def init_watched(connection: Any) -> None:
            await init(connection)  # what each connection asks is no part of a request
            connection.add_query_logger(statements.note)

        return create_pool(*args, init=init_watched, **options)

    monkeypatch.setattr(asyncpg, "connect", connect_watched)
    monkeypatch.setattr(asyncpg, "create_pool", create_watched)
    return statements
