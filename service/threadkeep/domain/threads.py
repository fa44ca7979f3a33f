"""The state machine of a thread (spec: data.md, States)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

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
