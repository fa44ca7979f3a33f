"""The demo's tenant, users and agents, made through the public API, and tokens for the users."""

from __future__ import annotations

import time
from typing import Any, Final

import jwt

from threadkeep.client import Conflict, NotAuthenticated, Threadkeep
from threadkeep.embedded.workspace import State

TENANT: Final = "demo"
USERS: Final = ("alice", "bob")
ISSUER: Final = "threadkeep-dev"
AUDIENCE: Final = "threadkeep"
KEY_ID: Final = "dev"
TOKEN_SECONDS: Final = 30 * 24 * 3600
"""How long a token holds; every start makes new ones."""

_SPEECH: Final = (
    "This is a script and no model: it plays the same steps each time, so that one can watch "
    "every kind of event arrive. The text you are reading streams in small pieces. Cut the "
    "connection while it does, wait a moment, and resume: nothing that was said is lost, because "
    "the run goes on without you and the log keeps all of it."
)
AGENTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "librarian": ("librarian", {}),
    "scripted": (
        "scripted",
        {
            "steps": [
                {"think": {"thought": "I play my part, step by step.", "progress_percentage": 10}},
                {
                    "tool": {
                        "name": "stopwatch",
                        "input": {"wait_ms": 400},
                        "results": {"waited_ms": 400},
                        "after_ms": 400,
                    }
                },
                {"say": {"text": _SPEECH, "piece": 6, "every_ms": 60}},
            ]
        },
    ),
}
"""Name → kind and settings."""


async def ensure_tenant(url: str, state: State) -> bool:
    """Make what is not there yet; True when `state` has changed."""
    if state.tenant and await _is_known(url, state):
        return False
    async with Threadkeep(url, api_key=state.platform_key) as platform:
        tenant = await _tenant(platform)
        key = await platform.call("POST", f"/v1/tenants/{tenant}/keys", body={"name": "dev"})
        await _issuer(platform, tenant, state.token_secret)
        for name, (kind, settings) in AGENTS.items():
            agent = {"name": name, "kind": kind, "settings": settings}
            await _unless_there(platform, f"/v1/tenants/{tenant}/agents", agent)
    state.tenant = tenant
    state.api_key = key["secret"]
    return True


def tokens(state: State) -> dict[str, str]:
    """A fresh token for each user."""
    now = int(time.time())
    return {
        user: jwt.encode(
            {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + TOKEN_SECONDS},
            state.token_secret,
            algorithm="HS256",
            headers={"kid": KEY_ID},
        )
        for user in USERS
    }


async def _is_known(url: str, state: State) -> bool:
    """Whether the service knows the key: it may have lost what the state remembers."""
    try:
        async with Threadkeep(url, api_key=state.api_key, user=USERS[0]) as client:
            await client.threads.page(limit=1)
    except NotAuthenticated:
        return False
    return True


async def _tenant(platform: Threadkeep) -> str:
    try:
        made = await platform.call(
            "POST", "/v1/tenants", body={"name": TENANT, "tier": "unlimited"}
        )
    except Conflict:
        # An earlier start ended between making it and remembering it.
        page = await platform.call("GET", "/v1/tenants", query={"limit": "100"})
        found = [tenant for tenant in page["data"] if tenant["name"] == TENANT]
        if not found:
            raise
        made = found[0]
    tenant: str = made["id"]
    return tenant


async def _issuer(platform: Threadkeep, tenant: str, secret: str) -> None:
    await _unless_there(
        platform,
        f"/v1/tenants/{tenant}/issuers",
        {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "algorithm": "HS256",
            "key_id": KEY_ID,
            "secret": secret,
        },
    )


async def _unless_there(platform: Threadkeep, path: str, body: dict[str, Any]) -> None:
    try:
        await platform.call("POST", path, body=body)
    except Conflict:
        return
