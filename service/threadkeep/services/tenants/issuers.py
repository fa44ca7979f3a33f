"""Token issuers of a tenant, and tokens that the service itself issues for a tenant's users."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable
from typing import Final

import jwt
import msgspec

from threadkeep.domain import ids, scopes
from threadkeep.domain.configuration import Issuer, NewIssuer, check_text
from threadkeep.domain.listing import Listing
from threadkeep.domain.principals import check_owner
from threadkeep.errors import Conflict, InvalidRequest, NotFound
from threadkeep.services import windows
from threadkeep.services.access import tokens
from threadkeep.services.access.key_sets import is_allowed_url
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.tenants.lookup import must_find
from threadkeep.services.windows import PageRequest
from threadkeep.storage import audit, issuers
from threadkeep.storage.database import Database
from threadkeep.storage.issuers import SigningKey

OWN_ISSUER: Final = "threadkeep"
"""Issuer and audience of tokens that the service signs; each tenant has its own key."""
TOKEN_SECONDS: Final = 365 * 24 * 3600
"""Longest life of such a token."""


class Issuers:
    """Use cases of token issuers; each change is audited in its transaction."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def create(self, tenant: str, new: NewIssuer, *, actor: str) -> tuple[Issuer, str | None]:
        """Register a key; with a secret that was made here, which is shown only now.

        An issuer belongs to the tenant that has an unrevoked key of it: `Conflict` for another
        tenant, and when this one has a key with this id.
        """
        _check(new)
        made = None
        if new.algorithm == "HS256" and new.secret is None:
            made = secrets.token_urlsafe(48)
            new = msgspec.structs.replace(new, secret=made)
        if new.issuer == OWN_ISSUER:
            raise InvalidRequest("This issuer is the service itself.", field="issuer")
        return await self._insert(tenant, new, actor), made

    async def list(self, tenant: str, page: PageRequest) -> Listing[Issuer]:
        """Keys in the order in which they were registered, the revoked ones too."""
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            return await windows.listing(
                page, lambda window: issuers.page(connection, tenant, window), lambda i: i.id
            )

    async def revoke(self, tenant: str, issuer: str, *, actor: str) -> Issuer:
        """End a key: its tokens are refused within five seconds, and their sockets closed."""
        async with self._database.transaction_as(tenant, None) as connection:
            revoked = await issuers.revoke(connection, tenant, issuer)
            if revoked is None:
                raise NotFound
            await audit.insert(connection, tenant, actor, "issuer_revoke", issuer)
        return revoked

    async def mint_token(
        self,
        tenant: str,
        user: str,
        *,
        seconds: int,
        scope: Iterable[str] | None = None,
        actor: str,
    ) -> str:
        """A token of this user, signed with the tenant's own key, which is made when missing."""
        check_owner(user, field="user")
        if not 1 <= seconds <= TOKEN_SECONDS:
            raise InvalidRequest(f"A token lives 1 to {TOKEN_SECONDS} seconds.", field="seconds")
        chosen = scopes.check_scopes(
            scopes.USER_SCOPES if scope is None else scope, scopes.USER_SCOPES
        )
        key = await self._find_signing(tenant)
        if key is None:
            key = await self._make_signing(tenant, actor)
        async with self._database.transaction_as(tenant, None) as connection:
            await audit.insert(connection, tenant, actor, "token_mint", user)
        now = int(time.time())
        claims = {
            "iss": OWN_ISSUER,
            "aud": key.audience,
            "sub": user,
            "iat": now,
            "exp": now + seconds,
            "scope": " ".join(sorted(chosen)),
        }
        secret = self._sealer.unseal(key.sealed_secret, tenant=tenant, row=key.id)
        return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": tenant})

    async def _find_signing(self, tenant: str) -> SigningKey | None:
        async with self._database.transaction_as(tenant, None, readonly=True) as connection:
            await must_find(connection, tenant)
            return await issuers.find_signing(connection, tenant, OWN_ISSUER, tenant)

    async def _make_signing(self, tenant: str, actor: str) -> SigningKey:
        new = NewIssuer(
            issuer=OWN_ISSUER,
            audience=OWN_ISSUER,
            algorithm="HS256",
            key_id=tenant,
            secret=secrets.token_urlsafe(48),
        )
        with contextlib.suppress(Conflict):  # somebody else has made it at the same moment
            await self._insert(tenant, new, actor)
        key = await self._find_signing(tenant)
        if key is None:
            raise NotFound
        return key

    async def _insert(self, tenant: str, new: NewIssuer, actor: str) -> Issuer:
        row = ids.new_id()
        sealed = None
        if new.secret is not None:
            sealed = self._sealer.seal(new.secret.encode(), tenant=tenant, row=row)
        async with self._database.transaction_as(tenant, None) as connection:
            await must_find(connection, tenant)
            if new.issuer != OWN_ISSUER:  # of which every tenant has a key, under its own id
                await issuers.claim(connection, tenant, new.issuer)
            created = await issuers.insert(connection, tenant, row, new, sealed)
            await audit.insert(
                connection, tenant, actor, "issuer_create", row, {"issuer": new.issuer}
            )
        return created


def _check(new: NewIssuer) -> None:
    for field in ("issuer", "audience", "key_id"):
        check_text(getattr(new, field), field)
    given = [f for f in ("secret", "public_key", "jwks_url") if getattr(new, f) is not None]
    if new.algorithm == "HS256":
        if given not in ([], ["secret"]):
            raise InvalidRequest("HS256 has a secret and no public key.", field=given[0])
    elif given == ["public_key"] and new.public_key is not None:
        tokens.public_key(new.public_key, new.algorithm)
    elif given != ["jwks_url"]:
        raise InvalidRequest(
            f"{new.algorithm} needs either public_key or jwks_url.", field="public_key"
        )
    elif not is_allowed_url(new.jwks_url or ""):
        raise InvalidRequest("Keys are fetched by https.", field="jwks_url")
