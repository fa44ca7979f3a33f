"""The audit of a tenant, as its administrators read it."""

from __future__ import annotations

from threadkeep.domain.audit import AuditFact
from threadkeep.domain.listing import Listing
from threadkeep.services import windows
from threadkeep.services.windows import PageRequest
from threadkeep.storage import audit_log
from threadkeep.storage.database import Database


class AuditLog:
    """Use cases of reading the audit; writing it is elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant: str, page: PageRequest) -> Listing[AuditFact]:
        """Facts of a tenant, newest first."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return await windows.listing(
                page, lambda window: audit_log.page(connection, tenant, window), lambda f: f.id
            )
