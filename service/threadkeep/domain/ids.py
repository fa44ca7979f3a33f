"""Identifiers: UUIDv7, 32 hexadecimal digits inside, with a prefix at the edge (`thr_…`)."""

from __future__ import annotations

import re
from typing import Final

import uuid_utils

from threadkeep.errors import NotFound

THREAD: Final = "thr"
MESSAGE: Final = "msg"
EVENT: Final = "evt"
RUN: Final = "run"
TENANT: Final = "ten"
AGENT: Final = "agt"
KEY: Final = "key"
ISSUER: Final = "iss"
AUDIT: Final = "aud"

_HEX = re.compile(r"[0-9a-f]{32}\Z")


def new_id() -> str:
    """A new UUIDv7 as 32 hexadecimal digits; rising within a process."""
    return uuid_utils.uuid7().hex


def derived_id(at: float, digest: bytes) -> str:
    """The UUIDv7 of a moment (seconds since 1970) whose other bits come from a digest.

    What happens at one moment and has one digest has one id, whoever makes it.
    """
    bits = int.from_bytes(digest[:10], "big")
    value = (int(at * 1000) & (1 << 48) - 1) << 80 | 7 << 76 | (bits >> 62 & 0xFFF) << 64
    return f"{value | 2 << 62 | bits & (1 << 62) - 1:032x}"


def to_public(prefix: str, value: str) -> str:
    """The form that callers see: prefix, underscore, digits."""
    return f"{prefix}_{value}"


def from_public(prefix: str, value: str) -> str:
    """The digits of a public id.

    A malformed id is answered like an absent one, so that shapes tell nothing: `NotFound`.
    """
    head, _, digits = value.partition("_")
    if head != prefix or not _HEX.match(digits):
        raise NotFound
    return digits
