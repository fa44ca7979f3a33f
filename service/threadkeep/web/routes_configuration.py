"""Routes of tenants and what belongs to them, and of the audit."""

from __future__ import annotations

from functools import partial
from typing import Final

from threadkeep.domain import configuration, scopes
from threadkeep.errors import Conflict
from threadkeep.web.handlers import agents, audit, tenants
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas import tenants as shapes
from threadkeep.web.schemas.common import PageQuery
from threadkeep.web.schemas.search import AuditPage

_platform = partial(Route, access=Access.PLATFORM, tag="Tenants")
_configure = partial(Route, access=Access.CONFIGURE, tag="Tenants")
_one = partial(_configure, path="/v1/tenants/{tenant_id}")
_keys = partial(_configure, path="/v1/tenants/{tenant_id}/keys")
_issuers = partial(_configure, path="/v1/tenants/{tenant_id}/issuers")
_agents = partial(_configure, path="/v1/tenants/{tenant_id}/agents")
_agent = partial(_configure, path="/v1/tenants/{tenant_id}/agents/{agent_id}")
_USER: Final = "/v1/tenants/{tenant_id}/users/{user}"

CONFIGURATION: Final[tuple[Route, ...]] = (
    _platform(
        method="POST",
        path="/v1/tenants",
        handler=tenants.create_tenant,
        summary="Create a tenant.",
        body=configuration.NewTenant,
        answers={201: shapes.TenantObject},
        errors=(Conflict,),
    ),
    _platform(
        method="GET",
        path="/v1/tenants",
        handler=tenants.list_tenants,
        summary="List all tenants.",
        query=PageQuery,
        answers={200: shapes.TenantPage},
    ),
    _one(
        method="GET",
        handler=tenants.get_tenant,
        summary="Get a tenant.",
        answers={200: shapes.TenantObject},
    ),
    _platform(
        method="PATCH",
        path="/v1/tenants/{tenant_id}",
        handler=tenants.change_tenant,
        summary="Change name, tier, limits, retention, or whether it is disabled.",
        body=configuration.TenantPatch,
        answers={200: shapes.TenantObject},
        errors=(Conflict,),
    ),
    _keys(
        method="POST",
        handler=tenants.create_key,
        summary="Make an API key; its secret is shown once.",
        body=configuration.NewKey,
        answers={201: shapes.NewKeyObject},
    ),
    _keys(
        method="GET",
        handler=tenants.list_keys,
        summary="List API keys.",
        query=PageQuery,
        answers={200: shapes.KeyPage},
    ),
    _configure(
        method="DELETE",
        path="/v1/tenants/{tenant_id}/keys/{key_id}",
        handler=tenants.revoke_key,
        summary="Revoke an API key, within five seconds.",
        answers={200: shapes.KeyObject},
    ),
    _issuers(
        method="POST",
        handler=tenants.create_issuer,
        summary="Register a key that signs user tokens.",
        body=configuration.NewIssuer,
        answers={201: shapes.NewIssuerObject},
        errors=(Conflict,),
    ),
    _issuers(
        method="GET",
        handler=tenants.list_issuers,
        summary="List the keys that sign user tokens.",
        query=PageQuery,
        answers={200: shapes.IssuerPage},
    ),
    _configure(
        method="DELETE",
        path="/v1/tenants/{tenant_id}/issuers/{issuer_id}",
        handler=tenants.revoke_issuer,
        summary="Revoke a key that signs user tokens, within five seconds.",
        answers={200: shapes.IssuerObject},
    ),
    _agents(
        method="POST",
        handler=agents.create_tenant_agent,
        summary="Add an agent.",
        body=configuration.NewAgent,
        answers={201: shapes.AgentObject},
        errors=(Conflict,),
    ),
    _agents(
        method="GET",
        handler=agents.list_tenant_agents,
        summary="List agents with their settings.",
        query=PageQuery,
        answers={200: shapes.AgentPage},
    ),
    _agent(
        method="GET",
        handler=agents.get_tenant_agent,
        summary="Get an agent with its settings.",
        answers={200: shapes.AgentObject},
    ),
    _agent(
        method="PATCH",
        handler=agents.change_tenant_agent,
        summary="Rename an agent or replace its settings.",
        body=configuration.AgentPatch,
        answers={200: shapes.AgentObject},
        errors=(Conflict,),
    ),
    _agent(
        method="DELETE",
        handler=agents.delete_tenant_agent,
        summary="Remove an agent; its runs stay.",
        answers={204: None},
    ),
    _configure(
        method="POST",
        path=f"{_USER}/revoke",
        handler=tenants.revoke_user,
        summary="End a user's tokens and sockets, within five seconds.",
        answers={204: None},
    ),
    _configure(
        method="POST",
        path=f"{_USER}/unrevoke",
        handler=tenants.unrevoke_user,
        summary="Let a user's earlier tokens hold again.",
        answers={204: None},
    ),
    Route(
        method="GET",
        path="/v1/audit",
        handler=audit.list_audit,
        access=Access.TENANT,
        scope=scopes.ADMIN,
        tag="Audit",
        summary="Read what was done and refused, newest first.",
        query=PageQuery,
        answers={200: AuditPage},
    ),
)
