"""Tenants with users and agents, made through the public API for tests of the clients."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from threadkeep.client import RetryPolicy, Threadkeep

_AUDIENCE = "threadkeep"
_STEPS = [
    {"think": "I begin."},
    {
        "say": {
            "text": "one two three four five six seven eight nine ten",
            "piece": 4,
            "every_ms": 80,
        }
    },
]


@dataclass(frozen=True)
class DemoTenant:
    """A tenant without limits, with the agents `librarian` and `scripted`."""

    url: str
    id: str
    api_key: str
    secret: str

    def token(self, user: str, *, seconds: float = 3600) -> str:
        """A token of one of its users."""
        now = int(time.time())
        claims = {"iss": self.id, "aud": _AUDIENCE, "sub": user, "iat": now, "exp": now + seconds}
        return jwt.encode(claims, self.secret, algorithm="HS256", headers={"kid": "test"})

    def client(
        self, user: str = "ann", *, url: str | None = None, retry: RetryPolicy | None = None
    ) -> Threadkeep:
        """A client of one of its users, not open yet."""
        return Threadkeep(url or self.url, token=self.token(user), retry=retry)


async def make_tenant(
    url: str,
    platform_key: str,
    *,
    tier: str = "unlimited",
    limits: Mapping[str, int] | None = None,
    agents: Mapping[str, Any] | None = None,
) -> DemoTenant:
    """A new tenant; `agents` are scripted ones by name, with their settings."""
    secret = secrets.token_urlsafe(32)
    async with Threadkeep(url, api_key=platform_key) as platform:
        name = f"test-{secrets.token_hex(8)}"
        body = {"name": name, "tier": tier, "limits": dict(limits or {})}
        made = await platform.call("POST", "/v1/tenants", body=body)
        path = f"/v1/tenants/{made['id']}"
        key = await platform.call("POST", f"{path}/keys", body={"name": "test"})
        issuer = {
            "issuer": made["id"],
            "audience": _AUDIENCE,
            "algorithm": "HS256",
            "key_id": "test",
            "secret": secret,
        }
        await platform.call("POST", f"{path}/issuers", body=issuer)
        librarian = {"name": "librarian", "kind": "librarian"}
        await platform.call("POST", f"{path}/agents", body=librarian)
        scripted = {"scripted": {"steps": _STEPS}, **(agents or {})}
        for name, settings in scripted.items():
            agent = {"name": name, "kind": "scripted", "settings": settings}
            await platform.call("POST", f"{path}/agents", body=agent)
    return DemoTenant(url, made["id"], key["secret"], secret)
