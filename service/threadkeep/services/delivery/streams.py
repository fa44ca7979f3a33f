"""Text of messages that are still streaming into one thread, as its subscribers have seen it.

A delta has an offset instead of a seq, counted in characters (Unicode code points). A subscriber
replaces what it has from `offset` on: that is how text is appended, and how it is taken back
when another holder of the run begins the message again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from threadkeep.domain import events, ids
from threadkeep.domain.entries import MESSAGE, Entry
from threadkeep.domain.snapshots import PartialMessage
from threadkeep.services.delivery.frames import Frame

_FINISHED: Final = 64
"""Messages remembered as finished, so that a delta that comes too late is known as such."""
_RUN_ENDS: Final = frozenset({events.COMPLETED, events.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of a message, or other text from `offset` on."""

    run: str
    message: str
    offset: int
    text: str


@dataclass(slots=True)
class _Stream:
    run: str
    text: str = ""
    held: list[Delta] = field(default_factory=list)
    """Deltas of this process that begin after a hole which the database will fill."""


class Streams:
    """The streaming messages of one thread; what it returns is to be broadcast at once."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._finished: deque[str] = deque(maxlen=_FINISHED)

    def __bool__(self) -> bool:
        return bool(self._streams)

    @property
    def has_holes(self) -> bool:
        """True while deltas wait for text that only the database has."""
        return any(stream.held for stream in self._streams.values())

    def add(self, delta: Delta) -> list[Delta]:
        """Text that this process has just written."""
        if delta.message in self._finished:
            return []
        stream = self._streams.setdefault(delta.message, _Stream(delta.run))
        if delta.offset > len(stream.text):
            stream.held.append(delta)
            return []
        if delta.offset == len(stream.text):
            stream.text += delta.text
            return [delta]
        end = delta.offset + len(delta.text)
        if stream.text[delta.offset : end] == delta.text:
            return []  # said before
        return [_change(stream, delta.message, stream.text[: delta.offset] + delta.text)]

    def merge(self, partials: Iterable[PartialMessage]) -> list[Delta]:
        """The text so far, as the database has it; the log is known as far as that read was."""
        deltas: list[Delta] = []
        for partial in partials:
            if partial.message in self._finished:
                continue
            stream = self._streams.setdefault(partial.message, _Stream(partial.run))
            if not stream.text.startswith(partial.text):
                deltas.append(_change(stream, partial.message, partial.text))
            held, stream.held = stream.held, []
            for delta in held:
                deltas += self.add(delta)
        return deltas

    def settle(self, entries: Sequence[Entry]) -> bool:
        """Forget what these entries end; True when the text so far should be read again."""
        is_stale = False
        for entry in entries:
            if entry.kind == MESSAGE:
                if self._streams.pop(entry.id, None) is not None:
                    self._finished.append(entry.id)
            elif entry.run is not None and entry.kind in _RUN_ENDS:
                self._drop(entry.run)
            elif entry.run is not None and entry.kind == events.RESUMED:
                # The next holder begins its message again, and may have done so already.
                self._drop(entry.run)
                is_stale = True
        return is_stale

    def missing(self, shown: Mapping[str, str]) -> list[Delta]:
        """What a subscriber that was shown `shown` needs to stand where all others stand."""
        deltas: list[Delta] = []
        for message, stream in self._streams.items():
            seen = shown.get(message, "")
            if not seen.startswith(stream.text):
                deltas.append(_change(_Stream(stream.run, seen), message, stream.text))
        return deltas

    def clear(self) -> None:
        """Forget all of them: their history is another, or was skipped."""
        self._streams.clear()

    def _drop(self, run: str) -> None:
        for message in [m for m, stream in self._streams.items() if stream.run == run]:
            del self._streams[message]


def delta_frame(thread: str, delta: Delta) -> Frame:
    """`{"v":1,"type":"message_delta","thread_id","run_id","payload":{message_id,offset,text}}`."""
    payload = {
        "message_id": ids.to_public(ids.MESSAGE, delta.message),
        "offset": delta.offset,
        "text": delta.text,
    }
    return Frame(
        msgspec.json.encode(
            {
                "v": 1,
                "type": "message_delta",
                "thread_id": ids.to_public(ids.THREAD, thread),
                "run_id": ids.to_public(ids.RUN, delta.run),
                "payload": payload,
            }
        )
    )


def _change(stream: _Stream, message: str, text: str) -> Delta:
    same = _common(stream.text, text)
    stream.text = text
    return Delta(stream.run, message, same, text[same:])


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    if other.startswith(one):
        return len(one)
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return n
    return min(len(one), len(other))
