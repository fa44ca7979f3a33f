"""What a credential allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from threadkeep.errors import Forbidden, InvalidRequest

THREADS_READ: Final = "threads:read"
"""Read threads, entries, runs and search; open sockets and streams."""
THREADS_WRITE: Final = "threads:write"
"""Create and change threads, append messages, set read markers."""
RUNS_WRITE: Final = "runs:write"
"""Start and cancel runs, hand in tool outputs."""
WORKER: Final = "worker"
"""Claim runs of the tenant and write their events. API keys only."""
ADMIN: Final = "admin"
"""Configure the own tenant: keys, issuers, agents, users. API keys only."""

USER_SCOPES: Final = frozenset({THREADS_READ, THREADS_WRITE, RUNS_WRITE})
"""What a user's token may hold; it holds all of them when it names no scope."""
SCOPES: Final = USER_SCOPES | {WORKER, ADMIN}
DEFAULT_KEY_SCOPES: Final = SCOPES - {ADMIN}
"""What an API key gets unless said otherwise."""


def require(granted: frozenset[str], scope: str) -> None:
    """Raise `Forbidden` when the credential does not hold `scope`."""
    if scope not in granted:
        raise Forbidden(f"This needs the scope {scope}.")


def parse_user_scopes(claim: str | None) -> frozenset[str]:
    """Scopes of a token's `scope` claim; names of other services are not ours to judge."""
    return USER_SCOPES if claim is None else USER_SCOPES & set(claim.split())


def check_scopes(names: Iterable[str], allowed: frozenset[str] = SCOPES) -> frozenset[str]:
    """Scopes for a new credential; `InvalidRequest` for an unknown one, or for none."""
    chosen = frozenset(names)
    if not chosen or chosen - allowed:
        raise InvalidRequest(f"Scopes are one or more of {sorted(allowed)}.", field="scopes")
    return chosen
