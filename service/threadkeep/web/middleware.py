"""What every request passes through: ids, limits, authentication, errors, logs, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import re
from time import perf_counter
from typing import Final

from aiohttp import web
from structlog.contextvars import bind_contextvars

from threadkeep.errors import InvalidRequest, NotFound, ThreadkeepError
from threadkeep.logs import get_logger
from threadkeep.web import cors, outcomes
from threadkeep.web.authentication import authenticate
from threadkeep.web.errors import MethodNotAllowed, error_response
from threadkeep.web.greetings import GREETINGS
from threadkeep.web.keys import ACTOR, LIFECYCLE, PRINCIPAL, REQUEST_ID, SERVICES, TENANT
from threadkeep.web.malformed import RequestHandler
from threadkeep.web.responses import SAFE_HEADERS, SERVER
from threadkeep.web.route import ROUTE, ROUTES, Handler, Route
from threadkeep.web.sending import is_large, send_in_time

_log = get_logger(__name__)

_PUBLIC_ID: Final = re.compile(r"[a-z]{3}_([0-9a-f]{32})\Z")
_STARTED: Final = web.RequestKey("started", bool)
"""True once the head of an answer has been sent."""


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only place where errors become answers."""
    begun = perf_counter()
    request.app[GREETINGS].arrived(request.protocol)
    request[REQUEST_ID] = request_id = outcomes.request_id_of(request.headers.get("X-Request-Id"))
    # Each request has a context of its own, because it has a task of its own.
    bind_contextvars(request_id=request_id)
    route = request.app[ROUTES].get(request.match_info.route)
    try:
        response = await _serve(request, route, handler)
    except asyncio.CancelledError:
        raise
    except Exception as exc:
        if request.get(_STARTED):
            _log.error("http.failed_midway", exc_info=exc)
            raise
        response = _failed(request, route, exc)
    _finish(request, route, response, perf_counter() - begun)
    await _send(request, response)
    return response


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    """Send what aiohttp would send after this, where somebody has to know that it was sent."""
    connection = request.protocol
    if is_large(response):
        await send_in_time(request, response)
    elif isinstance(connection, RequestHandler) and connection.answered is not None:
        with contextlib.suppress(ConnectionError):  # aiohttp finds the same, and ends quietly
            await response.prepare(request)
            await response.write_eof()
            # Somebody may have sent more while this waited for its reader.
            if response.keep_alive and connection.answered is not None:
                connection.answered()


async def _serve(request: web.Request, route: Route | None, handler: Handler) -> web.StreamResponse:
    if cors.is_preflight(request):
        return cors.preflight(request)
    if route is None:
        raise _unknown(request)
    request[ROUTE] = route
    await authenticate(request, route)
    return await handler(request)


def _unknown(request: web.Request) -> ThreadkeepError:
    exc = request.match_info.http_exception
    if isinstance(exc, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(", ".join(sorted(exc.allowed_methods)))
    return NotFound("There is no such route.")


def _failed(request: web.Request, route: Route | None, exc: Exception) -> web.Response:
    if isinstance(exc, ConnectionError | web.RequestPayloadError):
        exc = InvalidRequest("The body ended early.", malformed=True)
    outcomes.refused(exc, request[REQUEST_ID])
    if isinstance(exc, NotFound) and route is not None:
        _audit_refusal(request, route)
    return error_response(exc, request[REQUEST_ID])


def _audit_refusal(request: web.Request, route: Route) -> None:
    """Note whose resource was asked for in vain."""
    principal = request.get(PRINCIPAL)
    targets = [m[1] for value in request.match_info.values() if (m := _PUBLIC_ID.match(value))]
    if principal is not None and targets:
        outcomes.asked_in_vain(request.app[SERVICES].audit, principal, route, targets[0])


def _finish(
    request: web.Request, route: Route | None, response: web.StreamResponse, seconds: float
) -> None:
    if route is not None and route.is_stream and response.status < 400:
        return
    caller = request.get(PRINCIPAL) or request.get(TENANT)
    outcomes.ended(
        route,
        request.method,
        response.status,
        seconds,
        request_id=request[REQUEST_ID],
        actor=request.get(ACTOR),
        tenant=caller.tenant if caller is not None else None,
    )


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, of streams and refused upgrades too."""
    request[_STARTED] = True
    headers = response.headers
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    headers["Server"] = SERVER
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)
    cors.allow(request, response)
    if request.app[LIFECYCLE].draining:
        # The next request of this client finds a process that stays.
        response.force_close()
        headers["Connection"] = "close"
