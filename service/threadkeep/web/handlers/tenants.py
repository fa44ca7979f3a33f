"""Tenants, their keys, issuers and users: configuration, never conversations."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.configuration import (
    ApiKey,
    Issuer,
    NewIssuer,
    NewKey,
    NewTenant,
    Tenant,
    TenantPatch,
)
from threadkeep.domain.entries import timestamp
from threadkeep.services.windows import PageRequest
from threadkeep.web import bodies
from threadkeep.web.keys import ACTOR, SERVICES
from threadkeep.web.responses import answer, empty, listing
from threadkeep.web.schemas.common import PageQuery


def tenant_of(request: web.Request) -> str:
    """The digits of the tenant that the path names."""
    return ids.from_public(ids.TENANT, request.match_info["tenant_id"])


def page_of(request: web.Request) -> PageRequest:
    """The page that the query asks for."""
    query = bodies.query(request, PageQuery)
    return PageRequest(query.limit, query.after, query.before)


async def create_tenant(request: web.Request) -> web.Response:
    """Create a tenant."""
    body = await bodies.body(request, NewTenant)
    tenant = await request.app[SERVICES].tenants.create(body, actor=request[ACTOR])
    return answer(tenant_object(tenant), status=201)


async def list_tenants(request: web.Request) -> web.Response:
    """All tenants."""
    return listing(await request.app[SERVICES].tenants.list(page_of(request)), tenant_object)


async def get_tenant(request: web.Request) -> web.Response:
    """One tenant."""
    return answer(tenant_object(await request.app[SERVICES].tenants.get(tenant_of(request))))


async def change_tenant(request: web.Request) -> web.Response:
    """Change name, tier, limits, retention, or whether it is disabled."""
    body = await bodies.body(request, TenantPatch)
    tenants = request.app[SERVICES].tenants
    return answer(
        tenant_object(await tenants.patch(tenant_of(request), body, actor=request[ACTOR]))
    )


async def create_key(request: web.Request) -> web.Response:
    """Make an API key; its secret is shown only now."""
    body = await bodies.body(request, NewKey)
    key, secret = await request.app[SERVICES].tenants.keys.create(
        tenant_of(request), body, actor=request[ACTOR]
    )
    return answer(key_object(key) | {"secret": secret}, status=201)


async def list_keys(request: web.Request) -> web.Response:
    """API keys, the revoked ones too."""
    keys = request.app[SERVICES].tenants.keys
    return listing(await keys.list(tenant_of(request), page_of(request)), key_object)


async def revoke_key(request: web.Request) -> web.Response:
    """End an API key within five seconds."""
    key = ids.from_public(ids.KEY, request.match_info["key_id"])
    keys = request.app[SERVICES].tenants.keys
    return answer(key_object(await keys.revoke(tenant_of(request), key, actor=request[ACTOR])))


async def create_issuer(request: web.Request) -> web.Response:
    """Register a key that signs user tokens."""
    body = await bodies.body(request, NewIssuer)
    issuer, secret = await request.app[SERVICES].tenants.issuers.create(
        tenant_of(request), body, actor=request[ACTOR]
    )
    return answer(issuer_object(issuer) | {"secret": secret}, status=201)


async def list_issuers(request: web.Request) -> web.Response:
    """Keys of issuers, the revoked ones too."""
    issuers = request.app[SERVICES].tenants.issuers
    return listing(await issuers.list(tenant_of(request), page_of(request)), issuer_object)


async def revoke_issuer(request: web.Request) -> web.Response:
    """End an issuer's key within five seconds."""
    issuer = ids.from_public(ids.ISSUER, request.match_info["issuer_id"])
    issuers = request.app[SERVICES].tenants.issuers
    return answer(
        issuer_object(await issuers.revoke(tenant_of(request), issuer, actor=request[ACTOR]))
    )


async def revoke_user(request: web.Request) -> web.Response:
    """End the tokens that a user has got until now, and his sockets."""
    await request.app[SERVICES].tenants.revoke_user(
        tenant_of(request), request.match_info["user"], actor=request[ACTOR]
    )
    return empty()


async def unrevoke_user(request: web.Request) -> web.Response:
    """Let the earlier tokens of a user hold again."""
    await request.app[SERVICES].tenants.unrevoke_user(
        tenant_of(request), request.match_info["user"], actor=request[ACTOR]
    )
    return empty()


def tenant_object(tenant: Tenant) -> dict[str, Any]:
    """A tenant as callers see it."""
    return {
        "id": ids.to_public(ids.TENANT, tenant.id),
        "name": tenant.name,
        "tier": tenant.tier,
        "limits": asdict(tenant.limits),
        "limit_overrides": tenant.overrides,
        "retention": tenant.retention,
        "disabled": tenant.disabled_at is not None,
        "created_at": timestamp(tenant.created_at),
        "updated_at": timestamp(tenant.updated_at),
        "disabled_at": _time(tenant.disabled_at),
    }


def key_object(key: ApiKey) -> dict[str, Any]:
    """An API key as callers see it."""
    return {
        "id": ids.to_public(ids.KEY, key.id),
        "name": key.name,
        "scopes": key.scopes,
        "created_at": timestamp(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
    }


def issuer_object(issuer: Issuer) -> dict[str, Any]:
    """An issuer's key as callers see it."""
    return {
        "id": ids.to_public(ids.ISSUER, issuer.id),
        "issuer": issuer.issuer,
        "key_id": issuer.key_id,
        "algorithm": issuer.algorithm,
        "audience": issuer.audience,
        "jwks_url": issuer.jwks_url,
        "public_key": issuer.public_key,
        "created_at": timestamp(issuer.created_at),
        "revoked_at": _time(issuer.revoked_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)
