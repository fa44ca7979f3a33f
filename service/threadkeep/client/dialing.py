"""Opening one connection after another: when, with which token, and when to give up."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from threadkeep.client.errors import (
    ApiError,
    NotAuthenticated,
    Unreachable,
    from_answer,
    from_error,
)
from threadkeep.client.transport import Transport

_FRAME_BYTES: Final = 16 * 1024 * 1024
"""Largest frame taken: a snapshot and its thread's metadata stay far below."""
_HEARTBEAT_SECONDS: Final = 30.0
"""A peer that is gone without a word is noticed after one and a half times this."""
_STABLE_SECONDS: Final = 5.0
"""A connection that held so long was a good one: the next pause is short again."""
_HOPEFUL: Final = frozenset({429, *range(500, 600)})
"""Refusals of an upgrade after which another attempt may succeed."""
_FINAL_CODES: Final = {1008: "abuse", 4401: "not_authenticated", 4403: "forbidden"}


class Dialer:
    """Opens connections for one socket, and knows when the next attempt is due."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._attempt = 0
        self._opened = self._reached = self._loop.time()
        """When there was a connection last: its begin, its end."""
        self._may_renew = True
        """False once a token was renewed in vain: another one would be refused as well."""
        self._hint: float | None = None
        self._not_before = 0.0
        """Time before which the service does not want to be called."""

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        """A new connection, after as many attempts as it takes; raises when it is no use."""
        while True:
            try:
                connection = await self._dial()
            except (ApiError, Unreachable) as exc:
                self._check(exc)
            else:
                self._may_renew = True
                self._opened = self._loop.time()
                return connection
            await self.pause()

    def closed(self, code: int | None) -> None:
        """A connection has ended; raises when there must not be another one."""
        self._reached = self._loop.time()
        if self._reached - self._opened > _STABLE_SECONDS:
            self._attempt = 0
        self._hint = None
        if code == 4401 and self._transport.credentials.renewable:
            self._transport.credentials.renew()
        elif code in _FINAL_CODES:
            message = f"The service closed the socket with {code}."
            raise from_error(0, {"code": _FINAL_CODES[code], "message": message})

    def stay_away(self, seconds: float) -> None:
        """The service does not want to be called before that time is over."""
        self._not_before = self._loop.time() + seconds

    async def pause(self) -> None:
        """Wait until the next attempt is due."""
        drained = self._not_before - self._loop.time()
        pause = self._transport.policy.pause(self._attempt, self._hint)
        self._attempt += 1
        # The service spreads its hints itself; only without one do we spread ourselves.
        await asyncio.sleep(drained if drained > 0 else pause)

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        transport = self._transport
        try:
            async with asyncio.timeout(transport.policy.attempt_seconds):
                return await transport.session.ws_connect(
                    "/v1/ws",
                    headers=await self._headers(),
                    heartbeat=_HEARTBEAT_SECONDS,
                    max_msg_size=_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as exc:
            hint = exc.headers.get("Retry-After") if exc.headers is not None else None
            raise from_answer(exc.status, b"", hint) from exc
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise Unreachable(f"No connection: {exc}") from exc

    async def _headers(self) -> dict[str, str]:
        try:
            return await self._transport.credentials.headers()
        except Exception as exc:
            # Whoever gives tokens may be away for a while, as the service may.
            raise Unreachable(f"No token was given: {exc!r}") from exc

    def _check(self, exc: ApiError | Unreachable) -> None:
        """Prepare the next attempt, or raise what has made it pointless."""
        self._hint = getattr(exc, "retry_after", None)
        is_refused = isinstance(exc, NotAuthenticated)
        if is_refused and self._may_renew and self._transport.credentials.renewable:
            self._may_renew = False
            self._transport.credentials.renew()
            return
        is_hopeful = not isinstance(exc, ApiError) or exc.status in _HOPEFUL
        offline = self._loop.time() - self._reached
        if not is_hopeful or offline > self._transport.policy.offline_seconds:
            raise exc
