"""Encodings of what sockets and event streams carry. Each frame is encoded once per transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from threadkeep.domain import ids
from threadkeep.domain.entries import Cursor
from threadkeep.domain.runs import run_object
from threadkeep.domain.shapes import thread_object
from threadkeep.domain.snapshots import Snapshot
from threadkeep.services.delivery import Frame

_TEXT: Final = b"\x81"
_CLOSE: Final = b"\x88"
_PONG: Final = b"\x8a"
PING: Final = b"\x89\x00"
"""A ping without content."""

_encoder: Final = msgspec.json.Encoder()


class _Typed(msgspec.Struct):
    type: str


_typed: Final = msgspec.json.Decoder(_Typed)


def text(payload: bytes) -> bytes:
    """A text frame as a server sends it: unmasked, whole, not compressed."""
    size = len(payload)
    if size < 126:
        return _TEXT + size.to_bytes(1, "big") + payload
    if size < 65536:
        return _TEXT + b"\x7e" + size.to_bytes(2, "big") + payload
    return _TEXT + b"\x7f" + size.to_bytes(8, "big") + payload


def pong(content: bytes) -> bytes:
    """The answer to a ping, whose content has at most 125 bytes."""
    return _PONG + len(content).to_bytes(1, "big") + content


def close(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is ASCII of at most 123 bytes."""
    content = code.to_bytes(2, "big") + reason.encode("ascii")
    return _CLOSE + len(content).to_bytes(1, "big") + content


def websocket(frame: Frame) -> bytes:
    """A frame for a socket, shared by all sockets of this process."""
    encoded = frame.websocket
    if encoded is None:
        encoded = frame.websocket = text(frame.data)
    return encoded


def sse(frame: Frame) -> bytes:
    """A frame for an event stream: named by its type, and by its cursor where it has one."""
    encoded = frame.sse
    if encoded is None:
        cursor = frame.cursor
        encoded = frame.sse = event(_typed.decode(frame.data).type, frame.data, cursor)
    return encoded


def event(name: str, data: bytes, cursor: Cursor | None = None) -> bytes:
    """One server-sent event; JSON as we write it has no line breaks."""
    place = f"id: {cursor.text()}\n" if cursor is not None else ""
    return f"{place}event: {name}\ndata: ".encode() + data + b"\n\n"


def re_of(command_id: int | str | None) -> bytes:
    """The id of a command as the value of `re`."""
    return _encoder.encode(command_id)


def ok(re: bytes, body: bytes = b"{}") -> bytes:
    """The answer to a command; `body` is a JSON object whose members it takes over."""
    members = b"," + body[1:] if len(body) > 2 else b"}"
    return b'{"type":"ok","re":' + re + members


def appended(re: bytes, seq: int, message: str, epoch: str) -> bytes:
    """The answer to an append."""
    fields = f',"seq":{seq},"message_id":"msg_{message}","epoch":"{epoch}"}}'
    return b'{"type":"ok","re":' + re + fields.encode()


def failed(re: bytes, error: Mapping[str, Any], **beside: object) -> bytes:
    """The answer to a command that failed, or (`re` null) a word about the connection."""
    members = _encoder.encode({"error": error, **beside})
    return b'{"type":"error","re":' + re + b"," + members[1:]


def slow_consumer(request_id: str) -> dict[str, str]:
    """Why a connection is closed whose reader does not keep up."""
    return {
        "code": "slow_consumer",
        "message": "Frames are not read as fast as they come; resume from your cursor.",
        "request_id": request_id,
    }


def subscribed(re: bytes, thread: str, epoch: str, last_seq: int, verdict: str) -> bytes:
    """The answer to `subscribe`; what follows of the thread is in order and without a hole."""
    fields = (
        f',"thread_id":"thr_{thread}","epoch":"{epoch}","last_seq":{last_seq},'
        f'"verdict":"{verdict}"}}'
    )
    return b'{"type":"subscribed","re":' + re + fields.encode()


def drain(reconnect_after_ms: int, reason: str) -> bytes:
    """This process is leaving: connect again after that time."""
    payload = {"reconnect_after_ms": reconnect_after_ms, "reason": reason}
    return _encoder.encode({"v": 1, "type": "drain", "payload": payload})


def snapshot(found: Snapshot) -> bytes:
    """The thread as it was at one moment; its entries are embedded byte for byte."""
    thread = found.thread
    payload = {
        "thread": thread_object(thread),
        "entries": [msgspec.Raw(entry.canonical()) for entry in found.entries],
        "first_seq": found.first_seq,
        "last_seq": found.last_seq,
        "active_runs": [run_object(run) for run in found.active_runs],
        "partial_messages": [
            {
                "run_id": ids.to_public(ids.RUN, partial.run),
                "message_id": ids.to_public(ids.MESSAGE, partial.message),
                "text": partial.text,
            }
            for partial in found.partial_messages
        ],
    }
    return _encoder.encode(
        {
            "v": 1,
            "type": "snapshot",
            "epoch": thread.epoch,
            "thread_id": ids.to_public(ids.THREAD, thread.id),
            "payload": payload,
        }
    )
