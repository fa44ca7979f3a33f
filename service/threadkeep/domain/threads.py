"""The state machine of a thread (spec: data.md, States)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from threadkeep.errors import Conflict, Gone

ACTIVE: Final = "active"
PAUSED: Final = "paused"
COMPLETED: Final = "completed"
ARCHIVED: Final = "archived"
DELETED: Final = "deleted"
STATES: Final = (ACTIVE, PAUSED, COMPLETED, ARCHIVED, DELETED)

APPENDABLE: Final = frozenset({ACTIVE, COMPLETED})
"""States that take messages; a completed thread is reopened by one, and says so."""

_ACTIONS: Final[dict[str, tuple[frozenset[str], str | None]]] = {
    "pause": (frozenset({ACTIVE}), PAUSED),
    "resume": (frozenset({PAUSED}), ACTIVE),
    "complete": (frozenset({ACTIVE, PAUSED}), COMPLETED),
    "archive": (frozenset({ACTIVE, PAUSED, COMPLETED}), ARCHIVED),
    "unarchive": (frozenset({ARCHIVED}), None),
    "delete": (frozenset({ACTIVE, PAUSED, COMPLETED, ARCHIVED}), DELETED),
    "undelete": (frozenset({DELETED}), None),
}
"""Action → (states it starts from, state it leads to; None = the former one)."""

ACTIONS: Final = tuple(_ACTIONS)


@dataclass(frozen=True, slots=True)
class Thread:
    """What lists and reads show of a thread."""

    tenant: str
    id: str
    owner: str
    external_id: str | None
    title: str | None
    metadata: dict[str, Any]
    version: int
    state: str
    hold: bool
    epoch: str
    last_seq: int
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime


def next_state(action: str, state: str, former: str | None, *, hold: bool = False) -> str:
    """The state that `action` leads to from `state`.

    Raises `Conflict` with the state where the action is not allowed, and `Gone` for
    everything but `undelete` on a deleted thread. `former` is the state before the thread
    was archived or deleted.
    """
    sources, target = _ACTIONS[action]
    if state == DELETED and action != "undelete":
        raise Gone
    if state not in sources:
        raise Conflict(f"A thread that is {state} cannot {action}.", state=state)
    if action == "delete" and hold:
        raise Conflict("The thread is under legal hold.", state=state)
    return target or former or ACTIVE


def step(
    action: str, state: str, former: str | None, *, hold: bool = False
) -> tuple[str, str | None]:
    """The state that `action` leads to, and what to remember with it.

    `former` is what was remembered before: the states that lie under an archived or deleted
    thread, nearest first, separated by spaces. A thread may be paused, archived and deleted;
    undelete and unarchive then lead back through archived to paused.
    """
    nearest, _, rest = (former or "").partition(" ")
    target = next_state(action, state, nearest or None, hold=hold)
    if target in (ARCHIVED, DELETED) and action in ("archive", "delete"):
        return target, f"{state} {former}" if former else state
    return target, rest or None


TITLE_LENGTH: Final = 1024
"""Longest title, in characters."""
EXTERNAL_ID_LENGTH: Final = 255
"""Longest external id, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPatch:
    """A JSON merge patch of what an owner may change."""

    title: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadQuery:
    """What a list of threads is narrowed to, and where its page starts."""

    state: str | None = None
    """None: every state but deleted."""
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    """What the metadata must contain."""
    updated_since: datetime | None = None
    """Changed or written to since then."""
    q: str | None = None
    """Words that the title or one message must hold, all of them."""
    limit: int = 50
    after: str | None = None
    before: str | None = None
