"""What delivery hands to a connection: frames, and what a connection must offer to get them.

A socket or an event stream implements `Sink`. Frames of one entry are one object for all sinks
of the process, so that each transport encodes an entry once (`Frame.websocket`, `Frame.sse`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from threadkeep.domain.entries import Cursor, Entry
from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from threadkeep.services.delivery.subscriptions import Subscription


class Frame:
    """One JSON object on its way to any number of sinks."""

    __slots__ = ("data", "epoch", "seq", "sse", "websocket")

    def __init__(self, data: bytes, epoch: str = "", seq: int = 0) -> None:
        self.data = data
        """The JSON text in UTF-8, byte for byte what every transport carries."""
        self.epoch = epoch
        self.seq = seq
        """Place in the thread's log; 0 for what has none (deltas, typing, the user's feed)."""
        self.websocket: bytes | None = None
        """The encoding of the WebSocket transport, kept there by the first socket that needs it."""
        self.sse: bytes | None = None
        """The same for event streams."""

    @property
    def cursor(self) -> Cursor | None:
        """Where a reader stands after this frame; None for a frame without a place."""
        return Cursor(self.epoch, self.seq) if self.seq else None


def entry_frame(entry: Entry) -> Frame:
    """The frame of an entry: its canonical form."""
    return Frame(entry.canonical(), entry.epoch, entry.seq)


class Sink(Protocol):
    """A connection as delivery sees it.

    All but `room` must return at once; what it raises ends the subscription that was served and
    touches nobody else's.
    """

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""

    def push(self, frames: Sequence[Frame], /) -> None:
        """Queue frames in order.

        Over the byte bound (`limits.QUEUE_BYTES`) the sink closes itself as a slow consumer.
        Several calls within one turn of the event loop should become one write.
        """

    async def room(self) -> None:
        """Wait until at most a quarter of the byte bound is queued, or the sink is closed.

        Delivery waits here before each chunk of a catch-up, one subscription of the sink at a
        time; a chunk is at most half the bound. So catching up never makes a consumer slow.
        """

    def rejoined(self, subscription: Subscription, /) -> None:
        """Send `subscribed` (verdict `forked`) and the new `subscription.snapshot`.

        The thread's history was replaced while it was subscribed; frames follow.
        """

    def ended(self, subscription: Subscription, error: ThreadkeepError, /) -> None:
        """This subscription is over, the connection is not: the thread is gone for good."""
