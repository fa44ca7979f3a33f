"""Who is calling, as the rest of the service sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from threadkeep.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class Principal:
    """One user of one tenant, and by which credential he acts."""

    tenant: str
    """Digits of the tenant's id."""
    owner: str
    """The user, as the tenant names him; opaque, 1 to 255 characters."""
    actor: str
    """What is written into the audit: `key:<id>`, `user:<sub>` or `system`."""
    scopes: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    expires_at: datetime | None = None
    """When the credential ends; a socket is closed then with 4401."""
    key_id: str | None = None
    """The API key behind it, so that its revocation reaches open sockets."""
    issued_at: datetime | None = None
    """When a user token was issued: revoking a user ends what was issued before."""


def system_principal(tenant: str, owner: str) -> Principal:
    """The service itself acting for a user: reaper, agents, worker calls."""
    return Principal(tenant=tenant, owner=owner, actor="system")
