"""The tenant that a change of configuration is for."""

from __future__ import annotations

from threadkeep.domain.configuration import Tenant
from threadkeep.errors import NotFound
from threadkeep.storage import tenants
from threadkeep.storage.database import Connection


async def must_find(connection: Connection, tenant: str) -> Tenant:
    """One tenant; `NotFound` where there is none."""
    found = await tenants.find(connection, tenant)
    if found is None:
        raise NotFound
    return found
