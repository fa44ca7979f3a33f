"""What a route is: the one description from which serving, authentication and OpenAPI follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from aiohttp import web

from threadkeep.errors import ThreadkeepError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    """Anybody: probes and the description of the API."""
    USER = "user"
    """A user token, or an API key together with `Threadkeep-User`."""
    TENANT = "tenant"
    """An API key, for its tenant as a whole."""
    CONFIGURE = "configure"
    """The platform key, or an API key with the scope `admin` for its own tenant."""
    PLATFORM = "platform"
    """The platform key alone."""
    STATUS = "status"
    """Any credential."""
    SOCKET = "socket"
    """As USER, and also a ticket or a sub-protocol: the handler authenticates."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One method on one path."""

    method: str
    path: str
    handler: Handler
    access: Access
    tag: str
    """The noun under which the description lists it."""
    summary: str
    scope: str | None = None
    """What the credential must allow."""
    query: Any = None
    """Struct of the query parameters; None: there are none."""
    body: Any = None
    """Struct of the JSON body; None: there is none."""
    body_type: str = "application/json"
    answers: Mapping[int, Any] = field(default_factory=dict)
    """Status → Struct of the answer, None for one without a body."""
    answer_type: str = "application/json"
    errors: tuple[type[ThreadkeepError], ...] = ()
    """Errors beside those that follow from access, body and query."""
    headers: tuple[str, ...] = ()
    """Request headers that matter: `Idempotency-Key`, `If-Match`, `Last-Event-ID`."""
    is_stream: bool = False
    """True where the answer lasts: it is counted and logged by its own handler."""


ROUTE: Final = web.RequestKey("route", Route)
"""Set for every request that has a route."""
ROUTES: Final = web.AppKey("routes", dict[web.AbstractRoute, Route])
