"""Broken threads: states, versions, keys and times."""

from __future__ import annotations

import asyncio
from typing import Any

from threadkeep.domain import threads as domain
from threadkeep.domain.principals import Principal
from threadkeep.services import messages, threads
from threadkeep.services.threads import Threads

from . import breaks, put


@breaks("any-transition")
def any_transition() -> None:
    """Every action leads somewhere from every state."""
    targets = {"pause": "paused", "complete": "completed", "archive": "archived"}

    def step(action: str, state: str, former: str | None, **_: Any) -> tuple[str, str | None]:
        return ("deleted" if action == "delete" else targets.get(action, domain.ACTIVE)), state

    put(threads, "step", step)


@breaks("versions-ignored")
def versions_ignored() -> None:
    """`If-Match` is taken and not looked at."""
    patch = Threads.patch

    async def forgetful(self: Threads, *words: Any, if_match: int | None) -> domain.Thread:
        return await patch(self, *words, if_match=None)

    put(Threads, "patch", forgetful)


@breaks("keys-ignored")
def keys_ignored() -> None:
    """An idempotency key is taken and not kept."""
    put(messages, "idem_of", lambda _key: None)


@breaks("slow-writes")
def slow_writes() -> None:
    """Creating and changing a thread takes a quarter of a second more."""
    create, patch = Threads.create, Threads.patch

    async def slow_create(self: Threads, *words: Any, **named: Any) -> tuple[domain.Thread, bool]:
        await asyncio.sleep(0.25)
        return await create(self, *words, **named)

    async def slow_patch(self: Threads, *words: Any, **named: Any) -> domain.Thread:
        await asyncio.sleep(0.25)
        return await patch(self, *words, **named)

    put(Threads, "create", slow_create)
    put(Threads, "patch", slow_patch)


@breaks("one-user-waits")
def one_user_waits() -> None:
    """Reads of one user wait behind everybody else's, far longer than on a busy machine."""
    get = Threads.get

    async def unfair(self: Threads, principal: Principal, thread: str) -> domain.Thread:
        if principal.owner == "user-0":
            await asyncio.sleep(6.0)
        return await get(self, principal, thread)

    put(Threads, "get", unfair)
