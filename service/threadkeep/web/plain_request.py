"""Requests that can be read at a glance: in the strictest form of HTTP/1.1, and nothing after it.

Whatever is not plain is left to aiohttp's parser. That is what makes this one safe: where two
parsers could disagree about the end of a request (RFC 9112, sections 6 and 11.2), it is not plain.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HEAD_BYTES: Final = 8 * 1024
"""A longer head is not plain."""

_END: Final = b"\r\n\r\n"
_HEAD: Final = re.compile(
    rb"(GET|POST|PUT|PATCH|DELETE) (/[\x21-\x7e]*) HTTP/1\.1"
    rb"((?:\r\n[A-Za-z0-9-]+: [\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?){1,100})"
)
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_SPECIAL: Final = frozenset(
    {
        *("transfer-encoding", "te", "trailer", "upgrade", "http2-settings", "expect"),
        *("proxy-connection", "sec-websocket-key1"),
    }
)
"""Headers that change where a request ends or what follows it, or that some parsers take so."""


class PlainRequest(NamedTuple):
    """A request whose head has come, and after which nothing has."""

    method: str
    target: str
    """Path and query as they were sent."""
    headers: dict[str, str]
    """By name in small letters; none came twice."""
    body: bytes
    missing: int
    """Bytes of the body that have not come yet."""


def plain_request(data: bytes) -> PlainRequest | None:
    """What has arrived as a plain request, or None."""
    end = data.find(_END, 0, HEAD_BYTES)
    if end < 0:
        return None
    head = _HEAD.fullmatch(data, 0, end)
    if head is None:
        return None
    headers: dict[str, str] = {}
    lines = head[3].decode("ascii").split("\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    body = data[end + len(_END) :]
    missing = _missing(headers, len(body))
    if len(headers) != len(lines) - 1 or missing is None:
        return None
    return PlainRequest(head[1].decode(), head[2].decode(), headers, body, missing)


def _missing(headers: dict[str, str], size: int) -> int | None:
    """What is missing of a body; None where its end is not certain, or behind us."""
    given = headers.get("content-length", "0")
    is_plain = (
        "host" in headers
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
        and _SPECIAL.isdisjoint(headers)
        and _LENGTH.fullmatch(given)
    )
    missing = int(given) - size if is_plain else -1
    return missing if missing >= 0 else None
