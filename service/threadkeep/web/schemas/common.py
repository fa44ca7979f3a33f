"""Shapes that many routes share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from threadkeep.domain.limits import PAGE_ITEMS

ThreadId = Annotated[str, msgspec.Meta(pattern="^thr_[0-9a-f]{32}$")]
MessageId = Annotated[str, msgspec.Meta(pattern="^msg_[0-9a-f]{32}$")]
RunId = Annotated[str, msgspec.Meta(pattern="^run_[0-9a-f]{32}$")]
TenantId = Annotated[str, msgspec.Meta(pattern="^ten_[0-9a-f]{32}$")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_ITEMS, description="Items of a page at most.")]
PageCursor = Annotated[
    str, msgspec.Meta(min_length=1, max_length=1024, description="A cursor of an earlier page.")
]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What every list takes."""

    limit: Limit = 50
    after: PageCursor | None = None
    before: PageCursor | None = None


class Page(msgspec.Struct):
    """The envelope of every list."""

    has_more: bool
    """True when there is more in the direction that was read."""
    next: str | None
    previous: str | None


class ErrorObject(msgspec.Struct, omit_defaults=True):
    """What went wrong."""

    code: Literal[
        "invalid_request",
        "idempotency_mismatch",
        "unknown_type",
        "not_authenticated",
        "forbidden",
        "not_found",
        "conflict",
        "stale_fence",
        "gone",
        "stale_version",
        "too_large",
        "too_many",
        "internal",
        "unavailable",
        "maintenance",
    ]
    message: str
    request_id: str
    field: str | None = None
    state: str | None = None
    run_id: str | None = None
    retry_after_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    outcome: Literal["unknown"] | None = None


class ErrorAnswer(msgspec.Struct):
    """The body of every error."""

    error: ErrorObject


Json = dict[str, Any]
