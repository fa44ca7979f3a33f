"""All routes, in one table: serving, authentication and the description of the API follow it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from threadkeep.web.console import CONSOLE
from threadkeep.web.route import ROUTES, Route
from threadkeep.web.routes_configuration import CONFIGURATION
from threadkeep.web.routes_live import LASTING
from threadkeep.web.routes_runs import RUNS
from threadkeep.web.routes_system import SYSTEM
from threadkeep.web.routes_threads import THREADS

TABLE: Final[tuple[Route, ...]] = (*THREADS, *RUNS, *LASTING, *CONFIGURATION, *SYSTEM, *CONSOLE)


def add_routes(app: web.Application) -> None:
    """Serve the table. Paths are tried one by one, hence those of the log, the hottest, first."""
    ordered = sorted(TABLE, key=lambda route: route.tag != "Messages")
    app[ROUTES] = {
        app.router.add_route(method, route.path, route.handler): route
        for route in ordered
        for method in _methods(route)
    }


def _methods(route: Route) -> tuple[str, ...]:
    """What can be got can be asked for without its content (RFC 9110, section 9.3.2)."""
    return ("GET", "HEAD") if route.method == "GET" and not route.is_stream else (route.method,)
