"""Tenants, their policies and the users they revoke; their keys, issuers and agents beside."""

from __future__ import annotations

import msgspec

from threadkeep.domain import ids
from threadkeep.domain.configuration import NewTenant, Tenant, TenantPatch, check_text
from threadkeep.domain.listing import Listing
from threadkeep.domain.principals import check_owner
from threadkeep.errors import NotFound
from threadkeep.services import windows
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.tenants.agents import Agents
from threadkeep.services.tenants.api_keys import ApiKeys
from threadkeep.services.tenants.issuers import Issuers
from threadkeep.services.tenants.lookup import must_find
from threadkeep.services.windows import PageRequest
from threadkeep.storage import audit, tenants
from threadkeep.storage.database import Database


class Tenants:
    """Use cases of tenants; each change is audited in its transaction.

    Callers have been checked before: `create`, `list` and `patch` are the platform's alone.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self.keys = ApiKeys(database)
        self.issuers = Issuers(database, sealer)
        self.agents = Agents(database)

    async def create(self, new: NewTenant, *, actor: str) -> Tenant:
        """A new tenant; `Conflict` when the name is taken."""
        tenant = ids.new_id()
        async with self._database.transaction_as(tenant, None) as connection:
            await tenants.insert(
                connection,
                tenant,
                name=check_text(new.name, "name"),
                tier=new.tier,
                limits=new.limits,
                retention=new.retention,
            )
            await audit.insert(connection, tenant, actor, "tenant_create", tenant)
            return await must_find(connection, tenant)

    async def get(self, tenant: str) -> Tenant:
        """One tenant."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return await must_find(connection, tenant)

    async def list(self, page: PageRequest) -> Listing[Tenant]:
        """All tenants in the order in which they were made."""
        return await windows.listing(
            page, lambda window: tenants.page(self._database, window), lambda t: t.id
        )

    async def patch(self, tenant: str, patch: TenantPatch, *, actor: str) -> Tenant:
        """Change what is given; limits reach open sockets when they reconnect."""
        async with self._database.transaction_as(tenant, None) as connection:
            await must_find(connection, tenant)
            if patch.name is not msgspec.UNSET:
                await tenants.rename(connection, tenant, check_text(patch.name, "name"))
            if patch.disabled is not msgspec.UNSET:
                await tenants.set_disabled(connection, tenant, disabled=patch.disabled)
            await tenants.set_policy(
                connection,
                tenant,
                tier=None if patch.tier is msgspec.UNSET else patch.tier,
                limits=None if patch.limits is msgspec.UNSET else patch.limits,
                retention=None if patch.retention is msgspec.UNSET else patch.retention,
            )
            detail = msgspec.to_builtins(patch)
            await audit.insert(connection, tenant, actor, "tenant_update", tenant, detail)
            return await must_find(connection, tenant)

    async def revoke_user(self, tenant: str, owner: str, *, actor: str) -> None:
        """End the tokens issued to a user until now, and his sockets, within five seconds."""
        check_owner(owner, field="user")
        async with self._database.transaction_as(tenant, None) as connection:
            await must_find(connection, tenant)
            await tenants.revoke_user(connection, tenant, owner)
            await audit.insert(connection, tenant, actor, "user_revoke", owner)

    async def unrevoke_user(self, tenant: str, owner: str, *, actor: str) -> None:
        """Let the earlier tokens of a user hold again; `NotFound` when he was not revoked."""
        async with self._database.transaction_as(tenant, None) as connection:
            if not await tenants.unrevoke_user(connection, tenant, owner):
                raise NotFound
            await audit.insert(connection, tenant, actor, "user_unrevoke", owner)
