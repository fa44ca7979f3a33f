"""What delivery hands to connections.

The frame of an entry is one object for all connections of the process, so that each transport
encodes an entry once (`Frame.websocket`, `Frame.sse`).
"""

from __future__ import annotations

from threadkeep.domain.entries import Cursor, Entry


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
