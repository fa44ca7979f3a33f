"""Typed keys of what an application and a request carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from threadkeep.domain.principals import Principal, TenantPrincipal
from threadkeep.services.catalog import Services
from threadkeep.settings import Settings


@dataclass(slots=True)
class Lifecycle:
    """How far the process has come."""

    draining: bool = False
    """True from SIGTERM on: not ready, no new sockets, what runs is finished."""


SETTINGS: Final = web.AppKey("settings", Settings)
SERVICES: Final = web.AppKey("services", Services)
LIFECYCLE: Final = web.AppKey("lifecycle", Lifecycle)
DOCUMENT: Final = web.AppKey("document", bytes)
"""The OpenAPI document as it is served."""

REQUEST_ID: Final = web.RequestKey("request_id", str)
"""Set for every request, before anything can fail."""
PRINCIPAL: Final = web.RequestKey("principal", Principal)
"""Set for routes with `Access.USER`, and by the handlers of sockets."""
TENANT: Final = web.RequestKey("tenant", TenantPrincipal)
"""Set for routes with `Access.TENANT`, and with `Access.CONFIGURE` unless by the platform key."""
ACTOR: Final = web.RequestKey("actor", str)
"""Who calls, for logs: set where a credential was accepted."""
