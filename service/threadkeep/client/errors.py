"""What can go wrong for a caller: answers of the service by their code, and silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec


class ThreadkeepError(Exception):
    """Base of everything that this client raises by itself."""


class Unreachable(ThreadkeepError):
    """The service did not answer within the time limit."""

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        """True when the request may have been carried out all the same."""


class ClientClosed(ThreadkeepError):
    """The client, or the subscription, was closed."""


class ApiError(ThreadkeepError):
    """The service refused; the classes below tell the reasons that callers react to."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        """HTTP status; 0 for an answer that came over a socket."""
        self.code: str = error.get("code", "internal")
        self.message: str = error.get("message", "")
        self.field: str | None = error.get("field")
        self.state: str | None = error.get("state")
        self.run_id: str | None = error.get("run_id")
        self.request_id: str | None = error.get("request_id")
        self.retry_after: float | None = _seconds(error.get("retry_after_ms"))
        """Seconds after which another try may succeed."""
        self.outcome_unknown = error.get("outcome") == "unknown"
        """True when it may have been carried out; the same idempotency key tells."""
        super().__init__(f"{self.code}: {self.message}")


class InvalidRequest(ApiError):
    """The request is not well formed."""


class IdempotencyMismatch(ApiError):
    """This idempotency key was used before with another request."""


class NotAuthenticated(ApiError):
    """The credential is absent, wrong, expired or revoked."""


class Forbidden(ApiError):
    """The credential does not allow this."""


class NotFound(ApiError):
    """There is no such resource, or it is somebody else's."""


class Conflict(ApiError):
    """The present state does not allow this; see `state` and `run_id`."""


class Gone(ApiError):
    """The thread was deleted."""


class StaleVersion(ApiError):
    """The resource has changed since the version that was given."""


class TooLarge(ApiError):
    """The request is larger than the limit."""


class TooMany(ApiError):
    """A limit is reached; see `retry_after`."""


class Unavailable(ApiError):
    """The service cannot do this now; see `retry_after` and `outcome_unknown`."""


_CLASSES: Final[dict[str, type[ApiError]]] = {
    "invalid_request": InvalidRequest,
    "unknown_type": InvalidRequest,
    "idempotency_mismatch": IdempotencyMismatch,
    "not_authenticated": NotAuthenticated,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "conflict": Conflict,
    "stale_fence": Conflict,
    "gone": Gone,
    "stale_version": StaleVersion,
    "too_large": TooLarge,
    "too_many": TooMany,
    "unavailable": Unavailable,
    "maintenance": Unavailable,
}
_BY_STATUS: Final = {
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    413: "too_large",
    429: "too_many",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
"""For answers of proxies, which do not speak the service's JSON."""


def from_error(status: int, error: Mapping[str, Any]) -> ApiError:
    """The exception for an error object of the service."""
    return _CLASSES.get(str(error.get("code")), ApiError)(status, error)


def from_answer(status: int, body: bytes, retry_after: str | None) -> ApiError:
    """The exception for an HTTP answer, also one that some proxy has written."""
    try:
        error: dict[str, Any] = dict(msgspec.json.decode(body)["error"])
    except (ValueError, TypeError, KeyError):
        # 502 and 504 do not say whether the request got through.
        error = {"code": _BY_STATUS.get(status, "internal"), "message": f"HTTP {status}"}
        if status in (502, 504):
            error["outcome"] = "unknown"
    exc = from_error(status, error)
    if exc.retry_after is None and retry_after is not None and retry_after.isdecimal():
        exc.retry_after = float(retry_after)
    return exc


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None
