"""Whose things are tried to be reached, and by whom."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..callers import Caller, Json, Platform, Tenant
from .routes import Route

_PREFIXES = {
    "thread_id": "thr",
    "run_id": "run",
    "tenant_id": "ten",
    "agent_id": "agt",
    "key_id": "key",
    "issuer_id": "iss",
}


@dataclass(frozen=True)
class Victim:
    """A user with one of everything that has an id."""

    tenant: Tenant
    user: Caller
    admin: Caller
    platform: Caller
    ids: dict[str, str]
    """Parameter of a path → id."""
    log: list[Json]
    """The thread's log when it was made."""

    @classmethod
    async def make(cls, operator: Platform, tenant: Tenant) -> Victim:
        """A new one; its agent waits for workers, so that its run stays as it is."""
        user = tenant.user("victim")
        name = f"agent-{secrets.token_hex(4)}"
        agent = await operator.agent(tenant, name, "worker")
        thread = (await user.create(title="private"))["id"]
        await user.say(thread, *("private" for _ in range(20)))
        run = await user.ask("POST", f"/v1/threads/{thread}/runs", 201, json={"agent": name})
        admin = await operator.key(tenant.id, "admin")
        ids = {
            "thread_id": thread,
            "run_id": run["run"]["id"],
            "tenant_id": tenant.id,
            "agent_id": agent["id"],
            "key_id": (await operator.key(tenant.id))["id"],
            "issuer_id": (await operator.issuer(tenant.id))["id"],
            "user": "victim",
        }
        return cls(
            tenant=tenant,
            user=user,
            admin=with_key(tenant, admin["secret"]),
            platform=operator.caller,
            ids=ids,
            log=await user.entries(thread),
        )

    def caller_for(self, route: Route) -> Caller:
        """Who of the victim's own may call a route."""
        if route.is_platforms:
            return self.platform
        if "tenant_id" in route.parameters:
            return self.admin
        return self.tenant.worker() if "/worker/" in route.path else self.user

    async def untouched(self) -> bool:
        """Whether nothing has been added and everything is still there."""
        return await self.user.entries(self.ids["thread_id"]) == self.log


@dataclass(frozen=True)
class Attacker:
    """Somebody who has credentials, but not for this."""

    name: str
    callers: tuple[Caller, ...]
    is_audited: bool
    """Whether his attempt on what exists must be found in the audit under his name."""

    def caller(self, number: int) -> Caller:
        """He comes through one process or the other."""
        return self.callers[number % len(self.callers)]


async def attackers(
    operator: Platform, victims: Tenant, other: Tenant, route: Route
) -> list[Attacker]:
    """Everybody who may try a route: of the same tenant, and of another one."""
    unknown = set(route.parameters) - set(_PREFIXES) - {"user"}
    assert not unknown, f"{route.name}: nothing is known about {unknown}"
    if "tenant_id" in route.parameters:
        admin = await operator.key(other.id, "admin")
        return [Attacker("admin", (with_key(other, admin["secret"]),), is_audited=False)]
    if "/worker/" in route.path:
        return [Attacker("worker", (other.worker(),), is_audited=False)]
    name = f"mallory-{secrets.token_hex(4)}"
    is_audited = bool({"thread_id", "run_id"} & set(route.parameters))
    outsider = Attacker(f"{name}-out", _users(other, f"{name}-out"), is_audited)
    if not is_audited:  # agents belong to the tenant: only another one has no right to them
        return [outsider]
    return [Attacker(f"{name}-in", _users(victims, f"{name}-in"), is_audited), outsider]


def random_ids() -> dict[str, str]:
    """Well-formed ids of nothing."""
    ids = {name: f"{prefix}_{secrets.token_hex(16)}" for name, prefix in _PREFIXES.items()}
    return ids | {"user": secrets.token_hex(4)}


def with_key(tenant: Tenant, key: str) -> Caller:
    """A caller with another API key of a tenant."""
    return Tenant(tenant.id, key, tenant.urls, tenant.client).worker()


def _users(tenant: Tenant, name: str) -> tuple[Caller, ...]:
    return tenant.user(name), tenant.user(name, at=1)
