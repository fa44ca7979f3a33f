"""Lists by keyset: a page, and the opaque cursors that lead on from it. Never offsets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from threadkeep.errors import InvalidRequest

Item = TypeVar("Item")

_FORM: Final = struct.Struct(">4s1sq16sq")
"""Check sum, list, order number, id, place within the id: what a cursor holds."""
_LENGTH: Final = (_FORM.size * 8 + 5) // 6


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """One page of a list."""

    items: list[Item]
    has_more: bool
    """Whether there is more in the direction that was asked for."""
    next: str | None
    """Cursor of what follows the page, for `after`."""
    previous: str | None
    """Cursor of what stands before it, for `before`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in its list: by number, then id, then seq."""

    number: int
    """What the list is ordered by, such as microseconds since 1970."""
    id: str
    seq: int = 0


def encode(kind: bytes, place: Place) -> str:
    """A cursor for a list of one kind; `kind` is one byte."""
    content = _FORM.pack(b"", kind, place.number, bytes.fromhex(place.id), place.seq)
    packed = _check_sum(content) + content[4:]
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(kind: bytes, cursor: str, *, field: str) -> Place:
    """The place that `cursor` names; `InvalidRequest` for what no list of this kind gave out."""
    if len(cursor) == _LENGTH and cursor.isascii():
        try:
            packed = base64.b64decode(cursor + "=" * (-_LENGTH % 4), b"-_", validate=True)
        except binascii.Error:
            packed = b""
        if len(packed) == _FORM.size and packed[:4] == _check_sum(packed):
            _, found, number, digits, seq = _FORM.unpack(packed)
            if found == kind:
                return Place(number, digits.hex(), seq)
    raise InvalidRequest("This is not a cursor of this list.", field=field)


def page(
    rows: Sequence[tuple[Item, Place]],
    *,
    kind: bytes,
    limit: int,
    after: str | None,
    before: str | None,
) -> Listing[Item]:
    """A page from rows in list order, of which one more than `limit` was asked for.

    With `before` the rows are the last ones before it, and the surplus one comes first.
    """
    surplus = len(rows) > limit
    kept = list(rows[-limit:] if before is not None else rows[:limit])
    follows, precedes = (True, surplus) if before is not None else (surplus, after is not None)
    return Listing(
        [item for item, _ in kept],
        surplus,
        encode(kind, kept[-1][1]) if kept and follows else None,
        encode(kind, kept[0][1]) if kept and precedes else None,
    )


def check(*, limit: int, most: int, after: str | None, before: str | None) -> None:
    """`InvalidRequest` for a page that no list gives."""
    if not 1 <= limit <= most:
        raise InvalidRequest(f"1 to {most} items are given at once.", field="limit")
    if after is not None and before is not None:
        raise InvalidRequest("Only one of after and before is possible.", field="before")


def _check_sum(packed: bytes) -> bytes:
    # Against garbled cursors, not against forgers: a forged place shows nobody more than his own.
    return hashlib.blake2b(packed[4:], digest_size=4, person=b"listing").digest()
