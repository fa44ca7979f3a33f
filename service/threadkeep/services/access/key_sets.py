"""Public keys that issuers publish at a URL (JWKS): fetched, and kept for a while."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import msgspec

from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger

_log = get_logger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets what is at a URL, without following redirects; any exception means that it cannot."""

FETCH_SECONDS: Final = 3.0
"""Longest wait for an issuer's keys."""
SET_BYTES: Final = 256 * 1024
"""Largest set of keys."""
FRESH_SECONDS: Final = 300.0
"""How long a fetched set is used: a key that its issuer withdraws works at most so long."""
UNKNOWN_SECONDS: Final = 30.0
"""A key id that a set does not hold makes it be fetched again, but not more often than this."""
FAILED_SECONDS: Final = 5.0
"""After a failed fetch the next is not before this, however many tokens come."""
_SETS: Final = 1000
"""Sets kept at once; the oldest go first."""


@dataclass(slots=True)
class _KeySet:
    keys: dict[str, dict[str, Any]] | None
    """By key id; None: the fetch failed."""
    at: float


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeySets:
    """Key sets by URL, each fetched by one caller at a time."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}
        self._fetching: dict[str, asyncio.Future[_KeySet]] = {}

    async def find(self, url: str, key_id: str, algorithm: str) -> Any | None:
        """The public key with this id that fits `algorithm`, if the issuer publishes one.

        `Unavailable` when the set cannot be had: a token is then neither good nor bad.
        """
        known = self._sets.get(url)
        if known is None or self._clock() - known.at > self._keep_for(known, key_id):
            known = await self._get(url)
        if known.keys is None:
            raise Unavailable("The keys of the token's issuer cannot be fetched.")
        return _public_key(known.keys.get(key_id), algorithm)

    @staticmethod
    def _keep_for(known: _KeySet, key_id: str) -> float:
        if known.keys is None:
            return FAILED_SECONDS
        return FRESH_SECONDS if key_id in known.keys else UNKNOWN_SECONDS

    async def _get(self, url: str) -> _KeySet:
        fetching = self._fetching.get(url)
        if fetching is None:
            fetching = asyncio.ensure_future(self._load(url))
            self._fetching[url] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(url, None))
        return await asyncio.shield(fetching)

    async def _load(self, url: str) -> _KeySet:
        keys: dict[str, dict[str, Any]] | None
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = _parse(await self._fetch(url)) if is_allowed_url(url) else None
        except Exception as exc:  # noqa: BLE001 - whatever fails here, the answer is the same: 503
            _log.warning("keys.unavailable", url=url, error=type(exc).__name__)
            keys = None
        self._sets.pop(url, None)
        while len(self._sets) >= _SETS:
            del self._sets[next(iter(self._sets))]
        self._sets[url] = loaded = _KeySet(keys, self._clock())
        return loaded


def is_allowed_url(url: str) -> bool:
    """Whether keys may be fetched from there: https, or this very host for tests and sidecars."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host or parts.username is not None or parts.fragment:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(body: bytes) -> dict[str, dict[str, Any]]:
    if len(body) > SET_BYTES:
        raise ValueError("the key set is too large")
    document = msgspec.json.decode(body, type=_Document)
    return {key["kid"]: key for key in document.keys if isinstance(key.get("kid"), str)}


def _public_key(found: dict[str, Any] | None, algorithm: str) -> Any | None:
    if found is None or found.get("alg", algorithm) != algorithm:
        return None
    if found.get("use", "sig") != "sig" or "d" in found or found.get("kty") == "oct":
        return None
    try:
        return jwt.PyJWK(found, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
