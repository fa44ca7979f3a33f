"""Who is calling: from the credentials of a request to what the route asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from threadkeep.domain import principals, scopes
from threadkeep.domain.principals import Principal, TenantPrincipal
from threadkeep.errors import NotAuthenticated
from threadkeep.web.keys import ACTOR, PRINCIPAL, SERVICES, TENANT
from threadkeep.web.route import Access, Route

if TYPE_CHECKING:
    from threadkeep.services.credentials import Credentials

USER_HEADER: Final = "Threadkeep-User"


async def authenticate(request: web.Request, route: Route) -> None:
    """Do what `route.access` asks for; raises `NotAuthenticated`, `Forbidden`, `TooMany`."""
    if route.access is Access.USER:
        await authenticate_user(request, route.scope)
    elif route.access not in (Access.PUBLIC, Access.SOCKET):
        async with attempt(request) as credentials:
            await _authenticate_other(request, route, credentials)


async def _authenticate_other(request: web.Request, route: Route, credentials: Credentials) -> None:
    bearer = bearer_of(request)
    is_platform = credentials.is_platform_key(bearer)
    if is_platform and route.access is not Access.TENANT:
        _remember(request, "platform")
    elif route.access is Access.PLATFORM:
        credentials.authenticate_platform(bearer)
    elif route.access is Access.STATUS:
        await credentials.authenticate_any(bearer)
    else:
        _admit_tenant(request, await credentials.authenticate_tenant(bearer), route.scope)


async def authenticate_user(request: web.Request, scope: str | None) -> Principal:
    """The user who calls by the Authorization header."""
    async with attempt(request) as credentials:
        principal = await credentials.authenticate(bearer_of(request), user_of(request))
    admit(request, principal, scope)
    return principal


@asynccontextmanager
async def attempt(request: web.Request) -> AsyncIterator[Credentials]:
    """Count an attempt of this address, and give it back when the credential was good.

    Raises `TooMany` before anything is looked up.
    """
    services = request.app[SERVICES]
    address = request.remote or ""
    services.rates.take_address(address)
    yield services.credentials
    services.rates.authenticated(address)


def admit(request: web.Request, principal: Principal, scope: str | None) -> None:
    """Remember an authenticated user, check his scope and count against his request limit."""
    request[PRINCIPAL] = principal
    _remember(request, principal.actor, principal.tenant)
    if scope is not None:
        scopes.require(principal.scopes, scope)
    request.app[SERVICES].rates.take_request(principal)


def bearer_of(request: web.Request) -> str:
    """The credential of the Authorization header; `NotAuthenticated` when there is none."""
    kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not bearer.strip():
        raise NotAuthenticated
    return bearer.strip()


def user_of(request: web.Request) -> str | None:
    """The user for whom an API key acts."""
    user = request.headers.get(USER_HEADER)
    return None if user is None else principals.check_owner(user, field=USER_HEADER)


def _admit_tenant(request: web.Request, tenant: TenantPrincipal, scope: str | None) -> None:
    request[TENANT] = tenant
    _remember(request, tenant.actor, tenant.tenant)
    if scope is not None:
        scopes.require(tenant.scopes, scope)


def _remember(request: web.Request, actor: str, tenant: str = "") -> None:
    request[ACTOR] = actor
    structlog.contextvars.bind_contextvars(principal=actor, tenant_id=tenant)
