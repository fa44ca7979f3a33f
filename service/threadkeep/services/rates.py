"""Rate limits of users and addresses, kept in this process: every check is synchronous."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from types import TracebackType
from typing import Final, Self

from threadkeep.domain.buckets import Buckets
from threadkeep.domain.principals import Principal
from threadkeep.errors import TooMany
from threadkeep.settings import Settings

Spent = Callable[[str, str, str, int, int], None]
"""(kind, tenant, owner, limit per minute, count): what was taken, for the other processes."""

MESSAGES: Final = "messages"
REQUESTS: Final = "requests"

_SOCKET_RETRY_SECONDS: Final = 5.0
"""When a user's socket will close is unknown; those of a crashed client are gone after 35 s."""


class Rates:
    """Limits of messages, requests and sockets per user, and of attempts per address.

    A limit of 0 is none and costs nothing. Processes do not share what they count, unless
    `share` names somebody who tells the others.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._address_limit = settings.address_attempts_per_minute
        self._buckets = {MESSAGES: Buckets(), REQUESTS: Buckets()}
        self._messages = self._buckets[MESSAGES]
        self._requests = self._buckets[REQUESTS]
        self._addresses = Buckets()
        self._sockets: dict[tuple[str, str], int] = {}
        self._spent: Spent | None = None

    def share(self, spent: Spent) -> None:
        """Report everything that is taken from now on; `charge` takes what others report."""
        self._spent = spent

    def take_messages(self, principal: Principal, n: int) -> None:
        """Raise `TooMany` when the user has appended his messages of this minute."""
        limit = principal.limits.messages_per_minute
        if limit:
            self._take(MESSAGES, self._messages, principal, limit, n)

    def take_request(self, principal: Principal) -> None:
        """Raise `TooMany` when the user has made his requests and commands of this minute."""
        limit = principal.limits.requests_per_minute
        if limit:
            self._take(REQUESTS, self._requests, principal, limit, 1)

    def charge(self, kind: str, tenant: str, owner: str, limit: int, n: int) -> None:
        """Count what another process reports; an unknown kind comes from another version."""
        buckets = self._buckets.get(kind)
        if buckets is not None:
            buckets.charge((tenant, owner), limit, n, self._clock())

    def take_address(self, address: str) -> None:
        """Count an attempt before its credential is known; `TooMany` when there were too many.

        `authenticated` gives it back, so that only attempts that fail add up.
        """
        if not self._address_limit:
            return
        key = _network(address)
        if wait := self._addresses.take(key, self._address_limit, 1, self._clock()):
            raise TooMany("Too many attempts from this address.", retry_after=wait)

    def check_address(self, address: str) -> None:
        """The same for an attempt that is known to be good: nothing is counted."""
        if not self._address_limit:
            return
        key = _network(address)
        if wait := self._addresses.wait(key, self._address_limit, 1, self._clock()):
            raise TooMany("Too many attempts from this address.", retry_after=wait)

    def authenticated(self, address: str) -> None:
        """The attempt that `take_address` counted was a good one."""
        if self._address_limit:
            self._addresses.charge(_network(address), self._address_limit, -1, self._clock())

    def socket(self, principal: Principal) -> SocketSlot:
        """A place for one more socket of this user, until it is released; else `TooMany`."""
        key = (principal.tenant, principal.owner)
        limit = principal.limits.sockets_per_user
        count = self._sockets.get(key, 0)
        if limit and count >= limit:
            raise TooMany(
                f"{limit} sockets are open for this user.", retry_after=_SOCKET_RETRY_SECONDS
            )
        self._sockets[key] = count + 1
        return SocketSlot(lambda: self._release(key))

    def _release(self, key: tuple[str, str]) -> None:
        count = self._sockets[key] - 1
        if count:
            self._sockets[key] = count
        else:
            del self._sockets[key]

    def _take(self, kind: str, buckets: Buckets, who: Principal, limit: int, n: int) -> None:
        wait = buckets.take((who.tenant, who.owner), limit, n, self._clock())
        if wait:
            raise TooMany(f"{limit} {kind} per minute are allowed.", retry_after=wait)
        if self._spent is not None:
            self._spent(kind, who.tenant, who.owner, limit, n)


class SocketSlot:
    """One socket of a user. Releasing it twice is harmless."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """The socket is closed."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """An IPv6 customer has 2^64 addresses: they count as one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False).network_address)
