"""Broken in an outage: successes that were none, readiness that is none, leaving without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.errors import Unavailable
from threadkeep.services.access.recent import Recent
from threadkeep.services.messages import Appended, Messages, Verdict
from threadkeep.services.probes import Probes
from threadkeep.web.websocket_session import Session

from . import breaks, put

_HURRY_SECONDS = 1.0


@breaks("write-behind")
def write_behind() -> None:
    """An append is acknowledged when it takes long, and whatever becomes of it.

    Who asks is remembered for a minute, or nobody would get as far while the database is away.
    """
    submit, init = Messages.submit, Recent.__init__

    def lasting(self: Recent[Any, Any], **named: Any) -> None:
        init(self, **(named | {"seconds": 60.0}))

    def hasty(
        self: Messages,
        who: Principal,
        thread: str,
        batch: Sequence[Message],
        key: str | None,
        done: Callable[[Verdict], None],
    ) -> None:
        said: list[Verdict] = []

        def say(verdict: Verdict) -> None:
            if not said:
                ids = ["0" * 32] * len(batch)
                lie = Appended(1_000_000, datetime.now(UTC), "0" * 16, ids)
                said.append(lie if isinstance(verdict, Unavailable) else verdict)
                done(said[0])

        submit(self, who, thread, batch, key, say)
        asyncio.get_running_loop().call_later(_HURRY_SECONDS, say, Unavailable())

    put(Recent, "__init__", lasting)
    put(Messages, "submit", hasty)


@breaks("always-ready")
def always_ready() -> None:
    """A process calls itself ready, whatever its database does."""

    async def ready(_self: Probes) -> None:
        """Ask nobody."""

    put(Probes, "ready", ready)


@breaks("no-warning")
def no_warning() -> None:
    """A process that leaves says nothing to its sockets before it closes them."""
    put(Session, "warn", lambda _self, _after, _reason: None)
