"""What is noted about a request that has ended: a line in the log, metrics, the audit."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from prometheus_client import Histogram

from threadkeep import metrics
from threadkeep.domain import ids
from threadkeep.domain.principals import Principal
from threadkeep.errors import ThreadkeepError
from threadkeep.logs import Lines, get_logger
from threadkeep.services.audit import Audit
from threadkeep.web.errors import status_of
from threadkeep.web.route import Route

_log = get_logger(__name__)
REQUESTS: Final = Lines(__name__)
"""One line per request, the only one that each of them writes."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_timers: Final[dict[tuple[str, str, int], Histogram]] = {}


def request_id_of(given: str | None) -> str:
    """The caller's own name for a request, or a new one."""
    return given if given is not None and _REQUEST_ID.match(given) else ids.new_id()


def ended(  # noqa: PLR0913 - what one line of the log says
    route: Route | None,
    method: str,
    status: int,
    seconds: float,
    *,
    request_id: str,
    actor: str | None,
    tenant: str | None,
) -> None:
    """A request was answered; `route` is None where there is no such route."""
    path = route.path if route is not None else "unknown"
    _timer(method if route is not None else "any", path, status).observe(seconds)
    REQUESTS.write(
        "http.request",
        request_id=request_id,
        principal=actor,
        tenant_id=tenant,
        method=method,
        route=path,
        status=status,
        duration_ms=round(seconds * 1000, 2),
    )


def refused(exc: Exception, request_id: str) -> None:
    """A request is answered with an error."""
    code = exc.code if isinstance(exc, ThreadkeepError) else ThreadkeepError.code
    metrics.REFUSED.labels(code).inc()
    if not isinstance(exc, ThreadkeepError) or status_of(exc) == 500:
        _log.error("http.failed", request_id=request_id, exc_info=exc)


def asked_in_vain(audit: Audit, principal: Principal, route: Route, target: str) -> None:
    """Nothing of this id is the caller's; whose it is, is looked up much later."""
    action = f"{route.method} {route.path}"
    asyncio.get_running_loop().call_soon(audit.refused, principal, action, target)


def _timer(method: str, path: str, status: int) -> Histogram:
    key = (method, path, status)
    if key not in _timers:
        _timers[key] = metrics.HTTP_SECONDS.labels(method, path, str(status))
    return _timers[key]
