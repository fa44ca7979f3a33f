"""What wake-ups do when nobody answers them."""

from __future__ import annotations

from threadkeep.domain import ids
from threadkeep.storage.wakeups.redis import RedisWakeups


async def test_who_subscribes_while_the_connection_is_being_closed_does_not_wait() -> None:
    """Redis is still called connected then, but there is nothing left to ask it by."""
    wakeups = RedisWakeups("redis://127.0.0.1:1")
    wakeups.is_connected = True
    thread = ids.new_id()
    wakeups.watch(thread)

    await wakeups.heard(thread)

    await wakeups.aclose()
