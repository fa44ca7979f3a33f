"""JSON that callers give us: decoded once, checked, and kept in one canonical form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from threadkeep.domain.limits import JSON_DEPTH
from threadkeep.errors import InvalidRequest, TooLarge

_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="number")

_ESCAPED_NUL: Final = b"\\u0000"


def canonical(value: object, *, field: str, limit: int) -> bytes:
    """Compact JSON with sorted keys.

    Raises `TooLarge` above `limit` bytes and `InvalidRequest` for NUL characters, nesting
    deeper than the limit, or text that is not Unicode.
    """
    try:
        encoded = _encoder.encode(value)
    except (UnicodeEncodeError, ValueError, RecursionError, OverflowError) as exc:
        raise InvalidRequest("The value cannot be written as JSON.", field=field) from exc
    if len(encoded) > limit:
        raise TooLarge(f"{field} is {len(encoded)} bytes; {limit} are allowed.")
    if _ESCAPED_NUL in encoded and any("\0" in text for text in _texts(value)):
        raise InvalidRequest("NUL characters are not allowed.", field=field)
    if encoded.count(b"{") + encoded.count(b"[") > JSON_DEPTH:
        _check_depth(msgspec.to_builtins(value), field)
    return encoded


def digest_of(*parts: bytes) -> bytes:
    """SHA-256 over parts, each preceded by its length, so that no two splits are alike."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def idem_of(key: str) -> bytes:
    """What is stored of an idempotency key: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(key.encode()).digest()[:16]


def _texts(value: object) -> Iterator[str]:
    stack: list[Any] = [msgspec.to_builtins(value)]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)


def _check_depth(value: object, field: str) -> None:
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if not isinstance(item, dict | list | tuple):
            continue
        if depth > JSON_DEPTH:
            raise InvalidRequest(f"Nested deeper than {JSON_DEPTH} levels.", field=field)
        children = item.values() if isinstance(item, dict) else item
        stack.extend((child, depth + 1) for child in children)
