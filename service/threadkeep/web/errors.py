"""The one table by which errors become answers, of HTTP and of socket frames alike."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from aiohttp import web

from threadkeep import errors
from threadkeep.errors import InvalidRequest, ThreadkeepError, TooMany, Unavailable

STATUS: Final[dict[type[ThreadkeepError], int]] = {
    errors.ThreadkeepError: 500,
    errors.SettingsError: 500,
    errors.DependencyError: 500,
    errors.InvalidRequest: 422,
    errors.IdempotencyMismatch: 422,
    errors.UnknownType: 422,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.StaleFence: 409,
    errors.Gone: 410,
    errors.StaleVersion: 412,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.Maintenance: 503,
}
"""Class → status. A class that is not here is answered as its nearest base class."""

MALFORMED: Final = 400
"""`InvalidRequest` about something that could not be parsed at all."""

_INTERNAL: Final = ThreadkeepError()


class MethodNotAllowed(InvalidRequest):
    """This path does not take this method."""

    def __init__(self, allowed: str) -> None:
        super().__init__()
        self.allowed = allowed
        """Methods that it takes, comma separated."""


STATUS[MethodNotAllowed] = 405


def status_of(exc: ThreadkeepError) -> int:
    """The HTTP status of an error."""
    if isinstance(exc, InvalidRequest) and exc.malformed:
        return MALFORMED
    return next(STATUS[base] for base in type(exc).__mro__ if base in STATUS)


def error_body(exc: BaseException, request_id: str) -> tuple[int, dict[str, Any]]:
    """(status, body) of any exception; one that is not ours tells nothing of itself."""
    if not isinstance(exc, ThreadkeepError) or status_of(exc) == 500:
        exc = _INTERNAL
    error: dict[str, Any] = {"code": exc.code, "message": exc.message}
    if isinstance(exc, InvalidRequest) and exc.field is not None:
        error["field"] = exc.field
    if isinstance(exc, errors.Conflict):
        error |= {k: v for k in ("state", "run_id") if (v := getattr(exc, k)) is not None}
    if isinstance(exc, TooMany | Unavailable):
        error["retry_after_ms"] = math.ceil(exc.retry_after * 1000)
    if isinstance(exc, Unavailable) and exc.outcome_unknown:
        error["outcome"] = "unknown"
    error["request_id"] = request_id
    return status_of(exc), {"error": error}


def error_parts(exc: BaseException, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of the HTTP answer to an exception."""
    status, body = error_body(exc, request_id)
    headers = {"Content-Type": "application/json"}
    if isinstance(exc, TooMany | Unavailable):
        headers["Retry-After"] = str(max(1, math.ceil(exc.retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="threadkeep"'
    if isinstance(exc, MethodNotAllowed):
        headers["Allow"] = exc.allowed
    return status, headers, msgspec.json.encode(body)


def error_response(exc: BaseException, request_id: str) -> web.Response:
    """The HTTP answer to an exception."""
    status, headers, body = error_parts(exc, request_id)
    return web.Response(status=status, body=body, headers=headers)
