"""Plain appends by HTTP, from the request to its answer without a task of their own.

The same use case, errors, limits, metrics, log and audit as by the route: what is not usual, or
would fail before anything is counted, is left to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter, time
from typing import Final

import msgspec
from aiohttp import web

from threadkeep.domain import limits, scopes
from threadkeep.domain.principals import Principal
from threadkeep.errors import NotFound, ThreadkeepError
from threadkeep.services.messages import Verdict
from threadkeep.web import outcomes
from threadkeep.web.authentication import bearer_in
from threadkeep.web.bodies import decode
from threadkeep.web.connection import Connection
from threadkeep.web.errors import error_parts
from threadkeep.web.handlers.messages import append_messages, appended_object
from threadkeep.web.keys import LIFECYCLE, SERVICES, SETTINGS
from threadkeep.web.plain_request import PlainRequest
from threadkeep.web.responses import SAFE_HEADERS, SERVER
from threadkeep.web.route import Route
from threadkeep.web.routes_threads import THREADS
from threadkeep.web.schemas.threads import MessagesCreate

_TARGET: Final = re.compile(r"/v1/threads/thr_[0-9a-f]{32}/messages\Z")
_THREAD: Final = slice(len("/v1/threads/thr_"), -len("/messages"))
"""Of the target: the digits of the thread's id."""
_ROUTE: Final[Route] = next(route for route in THREADS if route.handler is append_messages)
_SCOPE: Final = _ROUTE.scope or scopes.THREADS_WRITE
_TYPES: Final = ("application/json", "application/json; charset=utf-8")
_UNUSUAL: Final = frozenset({"origin", "content-encoding"})
_JSON: Final = {"Content-Type": "application/json"}
_encode: Final = msgspec.json.Encoder().encode


class QuickAppends:
    """All of one process."""

    def __init__(self, app: web.Application) -> None:
        self.app: Final = app
        self.in_flight = 0
        self.taken = 0
        """Since the start."""
        vary = {"Vary": "Origin"} if app[SETTINGS].allowed_origins else {}
        self._always: Final = _lines({"Server": SERVER, **SAFE_HEADERS, **vary})
        self._finished: asyncio.Event | None = None
        self._second = 0
        self._date = ""

    def awaits(self, request: PlainRequest) -> bool:
        """Whether it is worth while to wait for the body of this one."""
        try:
            return self._caller(request) is not None
        except Exception:  # noqa: BLE001 - as in `begin`
            return False

    def begin(self, request: PlainRequest, connection: Connection) -> bool:
        """Append, and answer the connection later; False if the route has to be asked."""
        try:
            principal = self._caller(request)
            if principal is None:
                return False
            body = decode(request.body, MessagesCreate, MessagesCreate.least_keys)
            self._count(principal, connection.address)
        except Exception:  # noqa: BLE001 - nothing is counted yet: the route meets it and says so
            return False
        self.in_flight += 1
        self.taken += 1
        thread = request.target[_THREAD]
        append = _Append(self, connection, principal, thread, request.headers)
        try:
            key = request.headers.get("idempotency-key")
            messages = self.app[SERVICES].messages
            messages.submit(principal, thread, body.messages, key, append.done)
        except Exception as exc:  # noqa: BLE001 - answered, and logged where it is no usual error
            append.fail(exc)
        return True

    def landed(self) -> None:
        """One has its answer."""
        self.in_flight -= 1
        if not self.in_flight and self._finished is not None:
            self._finished.set()

    async def finish(self, seconds: float) -> None:
        """Wait until none is in flight, or as long as that; none may begin meanwhile."""
        if self.in_flight:
            self._finished = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), seconds)

    def answer(self, status: int, headers: dict[str, str], body: bytes, request_id: str) -> bytes:
        """An HTTP answer as bytes."""
        now = int(time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True)
        ends = "Connection: close\r\n" if self.app[LIFECYCLE].draining else ""
        head = (
            f"{_first_line(status)}{_lines(headers)}{ends}{self._always}Date: {self._date}\r\n"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body

    def _caller(self, request: PlainRequest) -> Principal | None:
        """Who appends, if it is an append and his credential needs no look-up."""
        if (
            not _TARGET.match(request.target)
            or not _is_usual(request)
            or self.app[LIFECYCLE].draining
        ):
            return None
        bearer = bearer_in(request.headers.get("authorization"))
        credentials = self.app[SERVICES].credentials
        principal = credentials.known(bearer, request.headers.get("threadkeep-user"))
        if principal is not None:
            scopes.require(principal.scopes, _SCOPE)
        return principal

    def _count(self, principal: Principal, address: str) -> None:
        """As the route does; raises `TooMany` before anything is counted."""
        rates = self.app[SERVICES].rates
        rates.check_address(address)
        rates.take_request(principal)


class _Append:
    """One in flight."""

    __slots__ = ("_begun", "_connection", "_principal", "_quick", "_request_id", "_thread")

    def __init__(
        self,
        quick: QuickAppends,
        connection: Connection,
        principal: Principal,
        thread: str,
        headers: dict[str, str],
    ) -> None:
        self._begun = perf_counter()
        self._quick = quick
        self._connection = connection
        self._principal = principal
        self._thread = thread
        self._request_id = outcomes.request_id_of(headers.get("x-request-id"))

    def done(self, verdict: Verdict) -> None:
        """The verdict is there."""
        if isinstance(verdict, ThreadkeepError):
            self.fail(verdict)
        else:
            body = _encode(appended_object(verdict))
            self._answer(201, _JSON, body)

    def fail(self, exc: Exception) -> None:
        """There is none, or it is an error."""
        outcomes.refused(exc, self._request_id)
        if isinstance(exc, NotFound):
            audit = self._quick.app[SERVICES].audit
            outcomes.asked_in_vain(audit, self._principal, _ROUTE, self._thread)
        self._answer(*error_parts(exc, self._request_id))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._quick.landed()
        outcomes.ended(
            _ROUTE,
            _ROUTE.method,
            status,
            perf_counter() - self._begun,
            request_id=self._request_id,
            actor=self._principal.actor,
            tenant=self._principal.tenant,
        )
        answer = self._quick.answer(status, headers, body, self._request_id)
        self._connection.answer(answer, is_last=self._quick.app[LIFECYCLE].draining)


@lru_cache
def _first_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


def _lines(headers: dict[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _is_usual(request: PlainRequest) -> bool:
    return (
        request.method == _ROUTE.method
        and request.headers.get("content-type") in _TYPES
        and len(request.body) <= limits.BODY_BYTES
        and _UNUSUAL.isdisjoint(request.headers)
    )


QUICK_APPENDS: Final = web.AppKey("quick_appends", QuickAppends)
