"""Browsers from other origins: allowed ones only, by the settings."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from threadkeep.errors import Forbidden
from threadkeep.web.keys import SETTINGS

_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, Threadkeep-User,"
    " X-Request-Id"
)
_ANSWER_HEADERS: Final = "ETag, Location, Retry-After, X-Request-Id"
_MAX_AGE_SECONDS: Final = 600


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks before it sends the request proper."""
    return (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in request.headers
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    )


def preflight(request: web.Request) -> web.Response:
    """The answer to a preflight; `Forbidden` for an origin that is not allowed."""
    if request.headers[hdrs.ORIGIN] not in request.app[SETTINGS].allowed_origins:
        raise Forbidden("This origin is not allowed.")
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_MAX_AGE_SECONDS),
        },
    )


def is_allowed(request: web.Request) -> bool:
    """Whether the request is from no browser, of the same origin, or of an allowed one."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in request.app[SETTINGS].allowed_origins:
        return True
    return origin.partition("://")[2] == request.host


def allow(request: web.Request, response: web.StreamResponse) -> None:
    """Let scripts of an allowed origin read the answer."""
    origins = request.app[SETTINGS].allowed_origins
    if not origins:
        return
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    origin = request.headers.get(hdrs.ORIGIN)
    if origin in origins:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _ANSWER_HEADERS
