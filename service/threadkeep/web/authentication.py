"""Who is calling: from the credentials of a request to what the route asks for."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from aiohttp import web
from structlog.contextvars import bind_contextvars

from threadkeep.domain import ids, principals, scopes
from threadkeep.domain.principals import Principal
from threadkeep.errors import NotAuthenticated, NotFound
from threadkeep.services.access.credentials import PLATFORM, USER_HEADER, Credentials
from threadkeep.web.keys import ACTOR, PRINCIPAL, SERVICES, TENANT
from threadkeep.web.route import Access, Route


async def authenticate(request: web.Request, route: Route) -> None:
    """Do what `route.access` asks for; raises `NotAuthenticated`, `Forbidden`, `TooMany`."""
    if route.access is Access.USER:
        await authenticate_user(request, route.scope)
    elif route.access not in (Access.PUBLIC, Access.SOCKET):
        with Attempt(request) as credentials:
            await _authenticate_other(request, route, credentials)


async def _authenticate_other(request: web.Request, route: Route, credentials: Credentials) -> None:
    bearer = bearer_of(request)
    if route.access is Access.TENANT:
        principal = await credentials.authenticate_tenant(bearer)
        request[TENANT] = principal
        _remember(request, principal.actor, principal.tenant)
        scopes.require(principal.scopes, route.scope or scopes.ADMIN)
    elif route.access is Access.CONFIGURE:
        tenant = _digits(request.match_info["tenant_id"])
        _remember(request, await credentials.authenticate_configurer(bearer, tenant), tenant)
    elif route.access is Access.PLATFORM or credentials.is_platform_key(bearer):
        credentials.authenticate_platform(bearer)
        _remember(request, PLATFORM)
    else:
        await credentials.authenticate_any(bearer)


def _digits(tenant_id: str) -> str:
    """A malformed id is nobody's tenant, whoever asks."""
    try:
        return ids.from_public(ids.TENANT, tenant_id)
    except NotFound:
        return ""


async def authenticate_user(request: web.Request, scope: str | None) -> Principal:
    """The user who calls by the Authorization header."""
    with Attempt(request) as credentials:
        principal = await credentials.authenticate(bearer_of(request), user_of(request))
    admit(request, principal, scope)
    return principal


class Attempt:
    """Counts an attempt of this address, and gives it back when the credential was good.

    Entering raises `TooMany`, before anything is looked up.
    """

    __slots__ = ("_address", "_services")

    def __init__(self, request: web.Request) -> None:
        self._services: Final = request.app[SERVICES]
        self._address: Final = request.remote or ""

    def __enter__(self) -> Credentials:
        self._services.rates.take_address(self._address)
        return self._services.credentials

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._services.rates.authenticated(self._address)


def admit(request: web.Request, principal: Principal, scope: str | None) -> None:
    """Remember an authenticated user, check his scope and count against his request limit."""
    request[PRINCIPAL] = principal
    _remember(request, principal.actor, principal.tenant)
    if scope is not None:
        scopes.require(principal.scopes, scope)
    request.app[SERVICES].rates.take_request(principal)


def bearer_of(request: web.Request) -> str:
    """The credential of the Authorization header; `NotAuthenticated` when there is none."""
    return bearer_in(request.headers.get("Authorization"))


def bearer_in(header: str | None) -> str:
    """The credential that the value of an Authorization header holds."""
    kind, _, bearer = (header or "").partition(" ")
    if kind.lower() != "bearer" or not bearer.strip():
        raise NotAuthenticated
    return bearer.strip()


def user_of(request: web.Request) -> str | None:
    """The user for whom an API key acts."""
    user = request.headers.get(USER_HEADER)
    return None if user is None else principals.check_owner(user, field=USER_HEADER)


def _remember(request: web.Request, actor: str, tenant: str = "") -> None:
    request[ACTOR] = actor
    if tenant:
        bind_contextvars(principal=actor, tenant_id=tenant)
    else:
        bind_contextvars(principal=actor)
