"""Probes, metrics, status and the description of the API."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from aiohttp import web

from threadkeep import __version__, metrics
from threadkeep.errors import Unavailable
from threadkeep.web import bodies
from threadkeep.web.keys import DOCUMENT, LIFECYCLE, SERVICES
from threadkeep.web.responses import answer
from threadkeep.web.schemas.system import ReadyQuery

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def livez(_request: web.Request) -> web.Response:
    """The process runs; nothing else is asked."""
    return answer({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """The process takes requests and, unless that is excluded, its database answers."""
    if request.app[LIFECYCLE].draining:
        raise Unavailable("The service is stopping.")
    if bodies.query(request, ReadyQuery).exclude is None:
        await request.app[SERVICES].probes.ready()
    return answer({"status": "ready"})


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    await request.app[SERVICES].probes.look()  # what asks for readiness may leave it out
    return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def get_status(request: web.Request) -> web.Response:
    """Version, epoch and degraded parts."""
    probes = request.app[SERVICES].probes
    return answer(
        {
            "version": __version__,
            "epoch": probes.epoch,
            "maintenance": False,
            "degraded": await probes.degraded(),
        }
    )


async def get_openapi(request: web.Request) -> web.Response:
    """The OpenAPI document."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


async def get_docs(_request: web.Request) -> web.Response:
    """The browsable page."""
    return _file("index.html", "text/html")


async def get_docs_script(_request: web.Request) -> web.Response:
    """The script of the page."""
    return _file("docs.js", "text/javascript")


async def get_docs_style(_request: web.Request) -> web.Response:
    """The style of the page."""
    return _file("docs.css", "text/css")


def _file(name: str, content_type: str) -> web.Response:
    return web.Response(
        body=files("threadkeep.web").joinpath("docs", name).read_bytes(),
        content_type=content_type,
        charset="utf-8",
        headers={"Content-Security-Policy": _PAGE_POLICY},
    )
