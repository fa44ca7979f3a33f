"""Credentials of open sockets: who is watched, and who is told that his no longer holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from threadkeep.domain.principals import Principal
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.storage import credentials
from threadkeep.storage.credentials import Holding
from threadkeep.storage.database import Database

_log = get_logger(__name__)

SWEEP_SECONDS: Final = 2.0
"""How often all watched credentials are compared with the database."""
_CHUNK: Final = 5000
"""Credentials in one query."""
_LONGEST_TIMER: Final = 3600.0
"""Timers are set anew after this, so that a changed clock is noticed."""

EXPIRED: Final = "expired"
REVOKED: Final = "revoked"
DISABLED: Final = "disabled"
"""The whole tenant is."""

Refused = Callable[[str], None]
"""Called once, with `expired`, `revoked` or `disabled`."""


@dataclass(slots=True, eq=False)
class _Watch:
    holding: Holding
    expires_at: datetime | None
    refused: Refused
    timer: asyncio.Handle | None = None


class Watches:
    """One query every two seconds for all sockets of this process."""

    def __init__(self, database: Database, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self._database = database
        self._sweep_seconds = sweep_seconds
        self._watches: set[_Watch] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._watches)

    def start(self) -> None:
        """Begin to compare in the background."""
        self._task = asyncio.create_task(self._run(), name="credential-watch")

    async def aclose(self) -> None:
        """Stop; nobody is told anything any more."""
        for watch in list(self._watches):
            self._remove(watch)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def add(self, principal: Principal, refused: Refused) -> Callable[[], None]:
        """Tell `refused` when the principal's credential ends; returns what ends the watch."""
        holding = Holding(principal.tenant, principal.owner, principal.key_id, principal.issued_at)
        watch = _Watch(holding, principal.expires_at, refused)
        self._watches.add(watch)
        self._set_timer(watch)
        return lambda: self._remove(watch)

    async def sweep(self) -> None:
        """Compare all at once; `Unavailable` when that is not possible now."""
        by_holding: dict[Holding, list[_Watch]] = {}
        for watch in self._watches:
            by_holding.setdefault(watch.holding, []).append(watch)
        holdings = list(by_holding)
        for start in range(0, len(holdings), _CHUNK):
            chunk = holdings[start : start + _CHUNK]
            refused = await credentials.find_refused(self._database, chunk)
            for holding, is_disabled in refused.items():
                for watch in by_holding[holding]:
                    self._refuse(watch, DISABLED if is_disabled else REVOKED)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                await self.sweep()
            except Unavailable:
                _log.warning("credentials.unchecked", watched=len(self._watches))
            except Exception:  # noqa: BLE001 - logged; the watch must go on for everybody else
                _log.exception("credentials.sweep_failed")

    def _set_timer(self, watch: _Watch) -> None:
        if watch.expires_at is None:
            return
        left = (watch.expires_at - datetime.now(UTC)).total_seconds()
        if left <= 0:
            # Not at once: the caller may still be about to keep what `add` returns.
            watch.timer = asyncio.get_running_loop().call_soon(self._refuse, watch, EXPIRED)
            return
        watch.timer = asyncio.get_running_loop().call_later(
            min(left, _LONGEST_TIMER), self._set_timer, watch
        )

    def _refuse(self, watch: _Watch, reason: str) -> None:
        if watch not in self._watches:
            return
        self._remove(watch)
        try:
            watch.refused(reason)
        except Exception:  # noqa: BLE001 - logged; one socket's mistake must not keep others open
            _log.exception("credentials.callback_failed")

    def _remove(self, watch: _Watch) -> None:
        self._watches.discard(watch)
        if watch.timer is not None:
            watch.timer.cancel()
