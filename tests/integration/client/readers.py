"""What readers of subscriptions see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from threadkeep.client import Entry, Event, Subscription

_SECONDS = 20.0


async def up_to(subscription: Subscription, seq: int) -> list[Event]:
    """Events until the entry with this seq."""
    events: list[Event] = []
    async with asyncio.timeout(_SECONDS):
        async for event in subscription:
            events.append(event)
            if isinstance(event, Entry) and event.seq >= seq:
                break
    return events


def seqs(events: Sequence[Event]) -> list[int]:
    """Where the entries among them stand."""
    return [event.seq for event in events if isinstance(event, Entry)]
