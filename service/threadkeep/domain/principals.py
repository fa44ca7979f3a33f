"""Who is calling, as the rest of the service sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from threadkeep.domain.limits import Limits
from threadkeep.errors import InvalidRequest

OWNER_LENGTH: Final = 255
"""Longest id of a user, in characters."""
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs, which are no text."""


class Principal(msgspec.Struct, frozen=True):
    """One user of one tenant, and by which credential he acts."""

    tenant: str
    """Digits of the tenant's id."""
    owner: str
    """The user, as the tenant names him; opaque, 1 to 255 characters."""
    actor: str
    """What is written into the audit: `key:<id>`, `user:<sub>` or `system`."""
    scopes: frozenset[str] = frozenset()
    limits: Limits = msgspec.field(default_factory=Limits)
    expires_at: datetime | None = None
    """When the credential ends; a socket is closed then with 4401."""
    key_id: str | None = None
    """The API key or token issuer behind it, so that its revocation reaches open sockets."""
    issued_at: datetime | None = None
    """When the user was let in: revoking him ends what was issued before."""


@dataclass(frozen=True, slots=True)
class TenantPrincipal:
    """A tenant without a user: workers and configuration."""

    tenant: str
    actor: str
    """`key:<id>`."""
    scopes: frozenset[str]
    limits: Limits
    expires_at: datetime | None
    key_id: str


def check_owner(value: str, *, field: str) -> str:
    """A user's id as a caller gave it: 1 to 255 characters without control characters."""
    if not 1 <= len(value) <= OWNER_LENGTH or _UNUSABLE.search(value):
        raise InvalidRequest(
            f"A user's id has 1 to {OWNER_LENGTH} characters, none of them control characters.",
            field=field,
        )
    return value


def system_principal(tenant: str, owner: str) -> Principal:
    """The service itself acting for a user: reaper, agents, worker calls."""
    return Principal(tenant=tenant, owner=owner, actor="system")
