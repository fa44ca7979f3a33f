"""Fetching what others publish: the key sets of token issuers."""

from __future__ import annotations

from typing import Final

import aiohttp

from threadkeep.services.access.key_sets import FETCH_SECONDS, SET_BYTES, Fetch

_CONNECTIONS: Final = 8
"""Fetches at once: many issuers must not exhaust this process' sockets."""


def key_session() -> aiohttp.ClientSession:
    """A client for key sets alone: no cookies, no proxies, short time limits."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
        auto_decompress=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


def fetch_with(session: aiohttp.ClientSession) -> Fetch:
    """Gets at most one key set's bytes; redirects are not followed."""

    async def fetch(url: str) -> bytes:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise OSError(f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > SET_BYTES:
                    raise OSError("the key set is too large")
            return bytes(body)

    return fetch
