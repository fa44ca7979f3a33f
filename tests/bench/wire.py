"""Bytes on the wire: a load generator spends its time waiting, not encoding.

Frames are built once per append with a zero mask, which RFC 6455 allows a client to choose, and
answers are recognised by their first bytes. No library stands between the clock and the socket.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

TEXT = 0x81
ACK = b'{"type":"ok"'
ENTRY = b'{"v":1'


def handshake(host: str, bearer: str, user: str) -> bytes:
    """The request that opens a WebSocket."""
    return (
        f"GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {bearer}\r\nThreadkeep-User: {user}\r\n\r\n"
    ).encode()


def frame(payload: bytes) -> bytes:
    """A masked text frame whose mask is zero."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB4x", TEXT, 0x80 | size) + payload
    return struct.pack("!BBH4x", TEXT, 0x80 | 126, size) + payload


def frames_in(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """(opcode, payload) of every complete frame at the start of `buffer`, which is consumed."""
    start = 0
    while len(buffer) - start >= 2:
        size = buffer[start + 1] & 0x7F
        head = 2
        if size == 126:
            head = 4
        elif size == 127:
            head = 10
        if len(buffer) - start < head:
            break
        if size >= 126:
            size = int.from_bytes(buffer[start + 2 : start + head], "big")
        end = start + head + size
        if len(buffer) < end:
            break
        yield buffer[start] & 0x0F, bytes(buffer[start + head : end])
        start = end
    del buffer[:start]


def command(number: int, thread: str, key: str, text: str) -> bytes:
    """The frame of one append."""
    return frame(
        f'{{"id":{number},"type":"user_message","thread_id":"{thread}",'
        f'"content":"{text}","idempotency_key":"{key}-{number}"}}'.encode()
    )


def subscribe(thread: str) -> bytes:
    """The frame that asks for a thread's snapshot and live entries."""
    return frame(f'{{"id":"s","type":"subscribe","thread_id":"{thread}"}}'.encode())


def post(host: str, bearer: str, user: str, thread: str, key: str, text: str) -> bytes:
    """The HTTP request of one append on a connection that stays open."""
    body = f'{{"messages":[{{"content":"{text}"}}]}}'.encode()
    return (
        f"POST /v1/threads/{thread}/messages HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {bearer}\r\nThreadkeep-User: {user}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
