"""A server that does nothing: what the generator reaches against it is the generator's ceiling."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Final, cast

from typing_extensions import override

from ....bench import wire

_BODY: Final = json.dumps({"id": "thr_0", "first_seq": 1, "data": [], "has_more": False}).encode()
_SWITCH: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Nothing(asyncio.Protocol):
    """Answers every request and every command with success."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_socket = False
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._is_socket and self._take_request():
            pass
        if self._is_socket:
            self._take_commands()

    def _take_request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(self._buffer) < end + 4 + size:
            return False
        del self._buffer[: end + 4 + size]
        assert self._transport is not None
        if b"Upgrade: websocket" in head:
            self._is_socket = True
            self._transport.write(_SWITCH)
            return False
        status = b"201 Created" if head.startswith(b"POST") else b"200 OK"
        length_line = f"Content-Length: {len(_BODY)}\r\n\r\n".encode()
        self._transport.write(b"HTTP/1.1 " + status + b"\r\n" + length_line + _BODY)
        return True

    def _take_commands(self) -> None:
        assert self._transport is not None
        while (payload := self._next_frame()) is not None:
            answer = {"type": "ok", "re": json.loads(payload)["id"], "seq": 0, "last_seq": 0}
            text = json.dumps(answer | {"thread": {"id": "thr_0"}}).encode()
            self._transport.write(bytes([wire.TEXT, len(text)]) + text)

    def _next_frame(self) -> bytes | None:
        """The next command; the generator masks with zeros."""
        if len(self._buffer) < 2:
            return None
        size, start = self._buffer[1] & 0x7F, 6
        if size == 126:
            size, start = int.from_bytes(self._buffer[2:4], "big"), 8
        if len(self._buffer) < start + size:
            return None
        payload = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return payload
