"""What every request passes through: ids, limits, authentication, errors, logs, metrics."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Final

from aiohttp import web
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars

from threadkeep import metrics
from threadkeep.domain import ids
from threadkeep.errors import InvalidRequest, NotFound, ThreadkeepError
from threadkeep.logs import Lines, get_logger
from threadkeep.web import cors
from threadkeep.web.authentication import authenticate
from threadkeep.web.errors import MethodNotAllowed, error_response, status_of
from threadkeep.web.keys import ACTOR, LIFECYCLE, PRINCIPAL, REQUEST_ID, SERVICES, TENANT
from threadkeep.web.listening import greeted
from threadkeep.web.responses import SAFE_HEADERS, SERVER
from threadkeep.web.route import ROUTE, ROUTES, Handler, Route
from threadkeep.web.sending import is_large, send_in_time

_log = get_logger(__name__)
REQUESTS: Final = Lines(__name__)
"""One line per request, the only one that each of them writes."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_PUBLIC_ID: Final = re.compile(r"[a-z]{3}_([0-9a-f]{32})\Z")
_STARTED: Final = web.RequestKey("started", bool)
"""True once the head of an answer has been sent."""


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only place where errors become answers."""
    begun = perf_counter()
    greeted(request)
    request[REQUEST_ID] = request_id = _request_id(request)
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
    if is_large(response):
        await send_in_time(request, response)
    return response


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
    code = exc.code if isinstance(exc, ThreadkeepError) else ThreadkeepError.code
    metrics.REFUSED.labels(code).inc()
    if not isinstance(exc, ThreadkeepError) or status_of(exc) == 500:
        _log.error("http.failed", exc_info=exc)
    elif isinstance(exc, NotFound) and route is not None:
        _audit_refusal(request, route)
    return error_response(exc, request[REQUEST_ID])


def _audit_refusal(request: web.Request, route: Route) -> None:
    """Note whose resource was asked for in vain; who owns it is looked up much later."""
    principal = request.get(PRINCIPAL)
    targets = [m[1] for value in request.match_info.values() if (m := _PUBLIC_ID.match(value))]
    if principal is None or not targets:
        return
    refused = request.app[SERVICES].audit.refused
    action = f"{route.method} {route.path}"
    asyncio.get_running_loop().call_soon(refused, principal, action, targets[0])


def _finish(
    request: web.Request, route: Route | None, response: web.StreamResponse, seconds: float
) -> None:
    if route is not None and route.is_stream and response.status < 400:
        return
    path = route.path if route is not None else "unknown"
    method = request.method if route is not None else "any"
    _timer(method, path, response.status).observe(seconds)
    REQUESTS.write(
        "http.request",
        request_id=request[REQUEST_ID],
        principal=request.get(ACTOR),
        tenant_id=_tenant(request),
        method=request.method,
        route=path,
        status=response.status,
        duration_ms=round(seconds * 1000, 2),
    )


def _tenant(request: web.Request) -> str | None:
    caller = request.get(PRINCIPAL) or request.get(TENANT)
    return caller.tenant if caller is not None else None


_timers: dict[tuple[str, str, int], Histogram] = {}


def _timer(method: str, path: str, status: int) -> Histogram:
    key = (method, path, status)
    if key not in _timers:
        _timers[key] = metrics.HTTP_SECONDS.labels(method, path, str(status))
    return _timers[key]


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.match(given) else ids.new_id()


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
