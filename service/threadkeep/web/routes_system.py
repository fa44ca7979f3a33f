"""Routes of probes, metrics and the description of the API."""

from __future__ import annotations

from functools import partial
from typing import Final

from threadkeep.errors import Unavailable
from threadkeep.web.handlers import system
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas import system as shapes

_public = partial(Route, method="GET", access=Access.PUBLIC, tag="System")

SYSTEM: Final[tuple[Route, ...]] = (
    _public(
        path="/livez",
        handler=system.livez,
        summary="Whether the process runs.",
        answers={200: shapes.Alive},
    ),
    _public(
        path="/readyz",
        handler=system.readyz,
        summary="Whether the process takes requests and its database answers.",
        query=shapes.ReadyQuery,
        answers={200: shapes.Ready},
        errors=(Unavailable,),
    ),
    _public(
        path="/metrics",
        handler=system.get_metrics,
        summary="Metrics for Prometheus.",
        answers={200: str},
        answer_type="text/plain",
    ),
    Route(
        method="GET",
        path="/v1/status",
        handler=system.get_status,
        access=Access.STATUS,
        tag="System",
        summary="Version, epoch and degraded parts.",
        answers={200: shapes.Status},
    ),
    _public(
        path="/openapi.json",
        handler=system.get_openapi,
        summary="This description.",
        answers={200: shapes.Document},
    ),
    _public(
        path="/docs",
        handler=system.get_docs,
        summary="This description as a page.",
        answers={200: str},
        answer_type="text/html",
    ),
    _public(
        path="/docs/docs.js",
        handler=system.get_docs_script,
        summary="The script of that page.",
        answers={200: str},
        answer_type="text/javascript",
    ),
    _public(
        path="/docs/docs.css",
        handler=system.get_docs_style,
        summary="The style of that page.",
        answers={200: str},
        answer_type="text/css",
    ),
)
