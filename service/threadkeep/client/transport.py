"""HTTP with the right repeats: never one that could do a thing twice."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from threadkeep.client.credentials import Credentials
from threadkeep.client.errors import (
    ApiError,
    NotAuthenticated,
    TooMany,
    Unavailable,
    Unreachable,
    from_answer,
)
from threadkeep.client.retries import RetryPolicy

T = TypeVar("T")

_JSON: Final = {"Content-Type": "application/json"}

Answer = tuple[int, bytes]


def new_key() -> str:
    """A new idempotency key."""
    return secrets.token_hex(16)


class Transport:
    """Sends requests until they are answered, refused for good, or out of time."""

    def __init__(
        self, session: aiohttp.ClientSession, credentials: Credentials, policy: RetryPolicy
    ) -> None:
        self.session = session
        self.credentials = credentials
        self.policy = policy

    async def call(
        self,
        method: str,
        path: str,
        into: type[T],
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """The answer of a request that may be sent again: it reads, or it says the same twice."""
        request = _request(method, path, body, {"params": query, "headers": headers})
        return _decoded(await self._persist(request, is_repeatable=True), into)

    async def call_once(
        self,
        method: str,
        path: str,
        into: type[T],
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """The answer of a request that is sent again only when nothing can have come of it."""
        request = _request(method, path, body, {"headers": headers})
        return _decoded(await self._persist(request, is_repeatable=False), into)

    async def _persist(self, request: dict[str, Any], *, is_repeatable: bool) -> bytes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.policy.total_seconds
        attempt = 0
        may_renew = self.credentials.renewable
        while True:
            try:
                return await self._send(request, deadline - loop.time())
            except (ApiError, Unreachable) as exc:
                if isinstance(exc, NotAuthenticated) and may_renew:
                    may_renew = False  # a fresh token that is refused is no use either
                    self.credentials.renew()
                    continue
                if not self._may_repeat(exc, is_repeatable=is_repeatable):
                    raise
                pause = self.policy.pause(attempt, getattr(exc, "retry_after", None))
                if loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            attempt += 1

    async def _send(self, request: dict[str, Any], seconds: float) -> bytes:
        headers = request["headers"] | await self.credentials.headers()
        limit = min(self.policy.attempt_seconds, max(seconds, 0.001))
        try:
            async with (
                asyncio.timeout(limit),
                self.session.request(**(request | {"headers": headers})) as answer,
            ):
                body = await answer.read()
        except aiohttp.ClientConnectorError as exc:
            raise Unreachable(f"No connection: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(f"The connection was lost: {exc}", outcome_unknown=True) from exc
        except TimeoutError as exc:
            raise Unreachable(f"No answer in {limit:.1f} s.", outcome_unknown=True) from exc
        if answer.status < 400:
            return body
        raise from_answer(answer.status, body, answer.headers.get("Retry-After"))

    def _may_repeat(self, exc: ApiError | Unreachable, *, is_repeatable: bool) -> bool:
        if isinstance(exc, Unreachable | Unavailable):
            return is_repeatable or not exc.outcome_unknown
        return isinstance(exc, TooMany)


def _request(
    method: str, path: str, body: object, options: Mapping[str, Mapping[str, str] | None]
) -> dict[str, Any]:
    headers = {**(options.get("headers") or {})}
    if body is not None:
        headers |= _JSON
    data = None if body is None else msgspec.json.encode(body)
    return {**options, "method": method, "url": path, "data": data, "headers": headers}


def _decoded(raw: bytes, into: type[T]) -> T:
    return msgspec.json.decode(raw or b"null", type=into)
