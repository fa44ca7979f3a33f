"""What a reader gets who joins a thread without a valid cursor (spec: protocol.md, snapshot)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from threadkeep.domain.entries import Entry
from threadkeep.domain.runs import Run
from threadkeep.domain.threads import Thread

MESSAGES: Final = 50
"""A snapshot reaches back to the 50th last message …"""
ENTRIES: Final = 500
"""… but holds no more entries than this …"""
BYTES: Final = 512 * 1024
"""… nor bytes than this, except that it always holds the last entry."""


@dataclass(frozen=True, slots=True)
class PartialMessage:
    """The text so far of a message that is still streaming."""

    run: str
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The thread at one moment: everything here is as of `last_seq`."""

    thread: Thread
    entries: list[Entry]
    """The last entries, ascending."""
    last_seq: int
    active_runs: list[Run]
    partial_messages: list[PartialMessage]

    @property
    def first_seq(self) -> int:
        """Seq of the first entry; one more than `last_seq` when there is none."""
        return self.entries[0].seq if self.entries else self.last_seq + 1
