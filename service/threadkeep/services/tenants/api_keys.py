"""API keys of a tenant. A secret is shown once, when it is made."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

import msgspec

from threadkeep.domain import ids, moments, scopes
from threadkeep.domain.configuration import ApiKey, NewKey, check_text
from threadkeep.domain.listing import Listing
from threadkeep.errors import InvalidRequest, NotFound
from threadkeep.services import windows
from threadkeep.services.tenants.lookup import must_find
from threadkeep.services.windows import PageRequest
from threadkeep.storage import api_keys, audit
from threadkeep.storage.database import Database


class ApiKeys:
    """Use cases of API keys; each change is audited in its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: str, new: NewKey, *, actor: str) -> tuple[ApiKey, str]:
        """A new key and, only now, the text that callers show."""
        check_text(new.name, "name")
        if new.expires_at is not None and moments.check(
            new.expires_at, field="expires_at"
        ) <= datetime.now(UTC):
            raise InvalidRequest("This is in the past.", field="expires_at")
        chosen = scopes.DEFAULT_KEY_SCOPES if new.scopes is None else new.scopes
        new = msgspec.structs.replace(new, scopes=sorted(scopes.check_scopes(chosen)))
        key, secret = ids.new_id(), secrets.token_urlsafe(32)
        secret_hash = hashlib.sha256(secret.encode()).digest()
        async with self._database.transaction_as(tenant, None) as connection:
            await must_find(connection, tenant)
            created = await api_keys.insert(connection, tenant, key, new, secret_hash=secret_hash)
            await audit.insert(
                connection, tenant, actor, "key_create", key, {"scopes": created.scopes}
            )
        return created, f"tk_{key}_{secret}"

    async def list(self, tenant: str, page: PageRequest) -> Listing[ApiKey]:
        """Keys in the order in which they were made, the revoked ones too."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return await windows.listing(
                page, lambda window: api_keys.page(connection, tenant, window), lambda k: k.id
            )

    async def revoke(self, tenant: str, key: str, *, actor: str) -> ApiKey:
        """End a key: it is refused within five seconds, and its sockets are closed."""
        async with self._database.transaction_as(tenant, None) as connection:
            revoked = await api_keys.revoke(connection, tenant, key)
            if revoked is None:
                raise NotFound
            await audit.insert(connection, tenant, actor, "key_revoke", key)
        return revoked
