"""Agents: read by everybody of the tenant, configured by its administrators."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.configuration import Agent, AgentPatch, NewAgent
from threadkeep.domain.entries import timestamp
from threadkeep.web import bodies
from threadkeep.web.handlers.tenants import page_of, tenant_of
from threadkeep.web.keys import ACTOR, PRINCIPAL, SERVICES
from threadkeep.web.responses import answer, empty, listing


def agent_of(request: web.Request) -> str:
    """The digits of the agent that the path names."""
    return ids.from_public(ids.AGENT, request.match_info["agent_id"])


async def list_agents(request: web.Request) -> web.Response:
    """Agents that a user can start."""
    agents = request.app[SERVICES].tenants.agents
    return listing(await agents.list(request[PRINCIPAL].tenant, page_of(request)), agent_summary)


async def get_agent(request: web.Request) -> web.Response:
    """One agent that a user can start."""
    agents = request.app[SERVICES].tenants.agents
    return answer(agent_summary(await agents.get(request[PRINCIPAL].tenant, agent_of(request))))


async def create_tenant_agent(request: web.Request) -> web.Response:
    """Add an agent to a tenant."""
    body = await bodies.body(request, NewAgent)
    agents = request.app[SERVICES].tenants.agents
    agent = await agents.create(tenant_of(request), body, actor=request[ACTOR])
    return answer(agent_object(agent), status=201)


async def list_tenant_agents(request: web.Request) -> web.Response:
    """Agents of a tenant with their settings."""
    agents = request.app[SERVICES].tenants.agents
    return listing(await agents.list(tenant_of(request), page_of(request)), agent_object)


async def get_tenant_agent(request: web.Request) -> web.Response:
    """One agent of a tenant with its settings."""
    agents = request.app[SERVICES].tenants.agents
    return answer(agent_object(await agents.get(tenant_of(request), agent_of(request))))


async def change_tenant_agent(request: web.Request) -> web.Response:
    """Rename an agent or replace its settings."""
    agent = agent_of(request)
    body = await bodies.body(request, AgentPatch)
    changed = await request.app[SERVICES].tenants.agents.update(
        tenant_of(request), agent, body, actor=request[ACTOR]
    )
    return answer(agent_object(changed))


async def delete_tenant_agent(request: web.Request) -> web.Response:
    """Remove an agent; its runs stay."""
    await request.app[SERVICES].tenants.agents.delete(
        tenant_of(request), agent_of(request), actor=request[ACTOR]
    )
    return empty()


def agent_summary(agent: Agent) -> dict[str, Any]:
    """An agent as users see it."""
    return {
        "id": ids.to_public(ids.AGENT, agent.id),
        "name": agent.name,
        "kind": agent.kind,
        "created_at": timestamp(agent.created_at),
        "updated_at": timestamp(agent.updated_at),
    }


def agent_object(agent: Agent) -> dict[str, Any]:
    """An agent as administrators see it."""
    return agent_summary(agent) | {"settings": agent.settings}
