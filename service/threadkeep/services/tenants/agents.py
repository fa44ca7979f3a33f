"""Agents as configuration: who may answer on a tenant's threads. Running them is elsewhere."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.domain import documents, ids
from threadkeep.domain.configuration import Agent, AgentPatch, NewAgent, check_text
from threadkeep.domain.listing import Listing
from threadkeep.domain.scripts import Script
from threadkeep.errors import InvalidRequest, NotFound
from threadkeep.services import windows
from threadkeep.services.tenants.lookup import must_find
from threadkeep.services.windows import PageRequest
from threadkeep.storage import agents, audit
from threadkeep.storage.database import Database

SETTINGS_BYTES: Final = 256 * 1024
"""Largest settings of an agent, in bytes of canonical JSON."""


class LibrarianSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The librarian has nothing to set."""


class WorkerSettings(msgspec.Struct):
    """Whatever the worker is to be given; nothing here reads it."""


_SETTINGS: Final[dict[str, type[msgspec.Struct]]] = {
    "librarian": LibrarianSettings,
    "scripted": Script,
    "worker": WorkerSettings,
}


class Agents:
    """Use cases of agents; each change is audited in its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: str, new: NewAgent, *, actor: str) -> Agent:
        """Add an agent; `Conflict` when the name is taken, `NotFound` without the tenant."""
        name = check_text(new.name, "name")
        settings = check_settings(new.kind, new.settings)
        agent = ids.new_id()
        async with self._database.transaction_as(tenant, None) as connection:
            await must_find(connection, tenant)
            created = await agents.insert(
                connection, tenant, agent, name=name, kind=new.kind, settings=settings
            )
            await audit.insert(connection, tenant, actor, "agent_create", agent)
        return created

    async def get(self, tenant: str, agent: str) -> Agent:
        """One agent."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return _found(await agents.find(connection, tenant, agent))

    async def list(self, tenant: str, page: PageRequest) -> Listing[Agent]:
        """Agents in the order in which they were made."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return await windows.listing(
                page, lambda window: agents.page(connection, tenant, window), lambda a: a.id
            )

    async def update(self, tenant: str, agent: str, patch: AgentPatch, *, actor: str) -> Agent:
        """Rename an agent, or replace its settings; runs under way keep what they started with."""
        name = None if patch.name is msgspec.UNSET else check_text(patch.name, "name")
        async with self._database.transaction_as(tenant, None) as connection:
            present = _found(await agents.find(connection, tenant, agent))
            settings = (
                None
                if patch.settings is msgspec.UNSET
                else check_settings(present.kind, patch.settings)
            )
            updated = await agents.update(connection, tenant, agent, name=name, settings=settings)
            await audit.insert(connection, tenant, actor, "agent_update", agent)
        return _found(updated)

    async def delete(self, tenant: str, agent: str, *, actor: str) -> None:
        """Remove an agent; runs that it has had stay."""
        async with self._database.transaction_as(tenant, None) as connection:
            if not await agents.delete(connection, tenant, agent):
                raise NotFound
            await audit.insert(connection, tenant, actor, "agent_delete", agent)


def check_settings(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that an agent of this kind can have; `InvalidRequest` or `TooLarge` otherwise."""
    shape = _SETTINGS.get(kind)
    if shape is None:
        raise InvalidRequest(f"Agents of kind {kind} are not available yet.", field="kind")
    documents.canonical(settings, field="settings", limit=SETTINGS_BYTES)
    try:
        msgspec.convert(settings, shape)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(str(exc), field="settings") from exc
    return settings


def _found(agent: Agent | None) -> Agent:
    if agent is None:
        raise NotFound
    return agent
