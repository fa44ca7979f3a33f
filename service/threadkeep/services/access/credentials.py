"""Who is calling: API keys, user tokens, tickets and the platform key become principals."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from threadkeep.domain import scopes
from threadkeep.domain.principals import Principal, TenantPrincipal, check_owner
from threadkeep.errors import Forbidden, InvalidRequest, NotAuthenticated, NotFound
from threadkeep.services.access.key_sets import Fetch, KeySets
from threadkeep.services.access.recent import Recent
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.access.tokens import UserTokens
from threadkeep.services.access.watches import Refused, Watches
from threadkeep.services.audit import Audit
from threadkeep.settings import Settings
from threadkeep.storage import credentials, tickets
from threadkeep.storage.credentials import Holding, KeyRecord
from threadkeep.storage.database import Database

USER_HEADER: Final = "Threadkeep-User"
TICKET_SECONDS: Final = 300
"""Longest life of a ticket."""
PLATFORM: Final = "platform"
"""The actor behind the platform key."""
_API_KEY = re.compile(r"tk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})\Z")
_TICKET = re.compile(r"tkt_[A-Za-z0-9_-]{43}\Z")
_NO_HASH: Final = bytes(32)
"""Compared with when there is no such key, so that the work is the same."""


class Credentials:
    """Turns what callers show into principals. Refusals say nothing about the reason.

    What was looked up holds for a second, so a revocation is felt within five, by open sockets
    too (`watch`).
    """

    def __init__(
        self, database: Database, settings: Settings, *, sealer: Sealer, audit: Audit, fetch: Fetch
    ) -> None:
        self._database = database
        self._audit = audit
        self._platform_hash = _digest(settings.platform_key) if settings.platform_key else None
        self._user_tokens = UserTokens(database, sealer, KeySets(fetch))
        self._keys: Recent[str, KeyRecord | None] = Recent()
        self._users: Recent[bytes, Principal] = Recent()
        self._watches = Watches(database)

    def start(self) -> None:
        """Begin to watch over open sockets."""
        self._watches.start()

    async def aclose(self) -> None:
        """Stop watching."""
        await self._watches.aclose()

    async def authenticate(self, bearer: str, act_for: str | None) -> Principal:
        """The user who calls by a token of his own, or for whom an API key acts.

        Raises `NotAuthenticated`; `Forbidden` for a user token that names somebody else;
        `InvalidRequest` for an API key that names nobody.
        """
        if not bearer.startswith("tk_"):
            return self._check_same(await self._find_user(bearer), act_for)
        key = await self._find_key(bearer)
        if act_for is None:
            raise InvalidRequest("An API key names the user it acts for.", field=USER_HEADER)
        return _acting(key, act_for)

    def known(self, bearer: str, act_for: str | None) -> Principal | None:
        """The same without a wait: None unless it was looked up a moment ago and all is well.

        Raises `InvalidRequest` for a user's id that is none.
        """
        if not bearer.startswith("tk_"):
            principal = self._users.known(_digest(bearer))
            if principal is None or act_for not in (None, principal.owner):
                return None
            return None if _is_over(principal.expires_at) else principal
        parts = _API_KEY.match(bearer)
        key = self._keys.known(parts[1]) if parts is not None else None
        if parts is None or key is None or act_for is None:
            return None
        is_right = hmac.compare_digest(_digest(parts[2]), key.secret_hash)
        return _acting(key, act_for) if is_right and not _is_over(key.expires_at) else None

    async def authenticate_tenant(self, bearer: str) -> TenantPrincipal:
        """The tenant whose API key this is; `Forbidden` for a user's token."""
        if not bearer.startswith("tk_"):
            await self._find_user(bearer)
            raise Forbidden("This needs an API key.")
        key = await self._find_key(bearer)
        return TenantPrincipal(
            key.tenant, f"key:{key.id}", key.scopes, key.limits, key.expires_at, key.id
        )

    async def authenticate_any(self, bearer: str) -> None:
        """Raise `NotAuthenticated` unless this is a user's token or an API key."""
        await (self._find_key if bearer.startswith("tk_") else self._find_user)(bearer)

    async def authenticate_configurer(self, bearer: str, tenant: str) -> str:
        """The actor who may configure this tenant: the platform, or its API key with `admin`.

        Another tenant is answered as one that does not exist: `NotFound`.
        """
        if self.is_platform_key(bearer):
            return PLATFORM
        principal = await self.authenticate_tenant(bearer)
        scopes.require(principal.scopes, scopes.ADMIN)
        if principal.tenant != tenant:
            raise NotFound
        return principal.actor

    def is_platform_key(self, bearer: str) -> bool:
        """Whether this is the platform key; compared in constant time."""
        expected = self._platform_hash
        return expected is not None and hmac.compare_digest(_digest(bearer), expected)

    def authenticate_platform(self, bearer: str) -> None:
        """Raise `NotAuthenticated` unless this is the platform key."""
        if not self.is_platform_key(bearer):
            raise NotAuthenticated

    async def issue_ticket(
        self, principal: Principal, *, origin: str | None, seconds: int
    ) -> tuple[str, datetime]:
        """A ticket that opens one socket of this user from this origin, and when it ends.

        Without an origin it serves programs that send none, hence no browser.
        """
        if not 1 <= seconds <= TICKET_SECONDS:
            raise InvalidRequest(f"A ticket lives 1 to {TICKET_SECONDS} seconds.", field="seconds")
        ticket = f"tkt_{secrets.token_urlsafe(32)}"
        valid = timedelta(seconds=seconds)
        return ticket, await tickets.insert_ticket(
            self._database, principal, _digest(ticket), origin=origin, valid=valid
        )

    async def use_ticket(self, ticket: str, *, origin: str | None) -> Principal:
        """The user behind a ticket, which is used up by this, also when the origin is wrong."""
        if not _TICKET.match(ticket):
            raise NotAuthenticated
        used = await tickets.use_ticket(self._database, _digest(ticket))
        if used is None or used.origin != origin:
            raise NotAuthenticated
        return used.principal

    def watch(self, principal: Principal, refused: Refused) -> Callable[[], None]:
        """Call `refused` with `expired`, `revoked` or `disabled` when the credential ends.

        That is at its expiry, or within five seconds of the revocation of the key, issuer, user
        or tenant. Returns what ends the watch.
        """
        return self._watches.add(principal, refused)

    async def _find_key(self, bearer: str) -> KeyRecord:
        parts = _API_KEY.match(bearer)
        if parts is None:
            raise NotAuthenticated
        key_id, secret = parts.groups()
        record = await self._keys.get(key_id, lambda: credentials.find_key(self._database, key_id))
        expected = record.secret_hash if record is not None else _NO_HASH
        is_right = hmac.compare_digest(_digest(secret), expected)
        if record is None or not is_right or _is_over(record.expires_at):
            raise NotAuthenticated
        return record

    async def _find_user(self, token: str) -> Principal:
        principal = await self._users.get(_digest(token), lambda: self._verify(token))
        if _is_over(principal.expires_at):
            raise NotAuthenticated
        return principal

    async def _verify(self, token: str) -> Principal:
        principal = await self._user_tokens.verify(token)
        holding = Holding(principal.tenant, principal.owner, principal.key_id, principal.issued_at)
        if await credentials.find_refused(self._database, [holding]):
            raise NotAuthenticated
        return principal

    def _check_same(self, principal: Principal, act_for: str | None) -> Principal:
        if act_for is not None and act_for != principal.owner:
            self._audit.denied(principal, "act_for", check_owner(act_for, field=USER_HEADER))
            raise Forbidden("A user's token acts for that user alone.")
        return principal


def _acting(key: KeyRecord, owner: str) -> Principal:
    return Principal(
        tenant=key.tenant,
        owner=check_owner(owner, field=USER_HEADER),
        actor=f"key:{key.id}",
        scopes=key.scopes,
        limits=key.limits,
        expires_at=key.expires_at,
        key_id=key.id,
        issued_at=datetime.now(UTC),
    )


def _digest(secret: str) -> bytes:
    # Any text has a digest: what is not Unicode is refused as wrong, not as an error.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _is_over(at: datetime | None) -> bool:
    return at is not None and at <= datetime.now(UTC)
