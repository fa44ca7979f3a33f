"""The audit: who was refused what, who changed what, who appended where.

Nothing waits for it but changes of configuration, which write their row in their own transaction.
Everything else is counted here and written in the background (docs/decisions/0005).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from time import time
from typing import Final, NamedTuple

from threadkeep.domain import documents, ids
from threadkeep.domain.principals import Principal, TenantPrincipal
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.storage import audit
from threadkeep.storage.audit import AuditRow
from threadkeep.storage.database import Database

_log = get_logger(__name__)

TICK_SECONDS: Final = 0.5
"""How often what is new is written."""
_RETRY_SECONDS: Final = 5.0
"""Pause after a database that is away."""
_ROWS: Final = 1000
"""Rows in one call."""
_AGGREGATES: Final = 10_000
"""Refusals and facts counted at once; a flood of others is dropped, and the log says how many."""
_THREADS: Final = 50_000
"""Threads whose appends are counted before they are written early."""
_THREADS_HELD: Final = 200_000
"""The same while the database is away; above it appends are dropped from the audit."""
_ID = re.compile(r"(?:[a-z]{3}_)?([0-9a-f]{32})\Z")
REPEATED: Final = "_repeated"
"""Ends the action of the row that counts what came after an aggregate's row was written."""
APPENDED: Final = "message_append"


class _Fact(NamedTuple):
    """What is counted: each field but the flag tells one aggregate from another."""

    minute: int
    tenant: str
    actor: str
    owner: str | None
    action: str
    target: str
    is_refusal: bool
    """True when it only counts if the target exists and is somebody else's."""


class Audit:
    """Counts per actor, owner, action, target and minute, and writes one row for each."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock
        self._process = secrets.token_bytes(8)
        self._fresh: dict[_Fact, int] = {}
        self._seen: dict[_Fact, int] = {}
        self._appends: dict[tuple[str, str, str, str], int] = {}
        self._late: list[AuditRow] = []
        self._minute = self._now()
        self._dropped = 0
        self._stopping = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._run(), name="audit")

    async def aclose(self) -> None:
        """Write what is counted, and stop. What the database does not take now is lost."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        with contextlib.suppress(Unavailable):
            await self.flush()
            await self._end_minute()

    def refused(self, who: Principal | TenantPrincipal, action: str, target: str) -> None:
        """An id was answered as not found; a row is written if it is somebody else's."""
        if match := _ID.match(target):
            self._count(who, action, match[1], 1, is_refusal=True)

    def denied(self, who: Principal | TenantPrincipal, action: str, target: str) -> None:
        """Something was refused that needs no look-up to be known as somebody else's."""
        self._count(who, action, target, 1)

    def record(
        self, who: Principal | TenantPrincipal, action: str, target: str, count: int = 1
    ) -> None:
        """Something was done."""
        self._count(who, action, target, count)

    def appended(self, tenant: str, owner: str, actor: str, thread: str, n: int) -> None:
        """Messages were appended: counted here, written when the minute ends."""
        key = (tenant, owner, actor, thread)
        appends = self._appends
        known = appends.get(key)
        if known is not None:
            appends[key] = known + n
        elif len(appends) < _THREADS_HELD:
            appends[key] = n
        else:
            self._dropped += 1

    async def flush(self) -> None:
        """Write what is new; `Unavailable` when the database does not take it, which keeps it."""
        async with self._writing:  # two at once would count the same rows twice
            while self._fresh:
                facts = list(islice(self._fresh.items(), _ROWS))
                rows = [self._row(fact, count) for fact, count in facts]
                written = await self._write(rows)
                for (fact, count), row in zip(facts, rows, strict=True):
                    # What is left was counted meanwhile, or another process wrote the row before.
                    left = self._fresh.pop(fact) - (count if row.id in written else 0)
                    self._seen[fact] = self._seen.get(fact, 0) + left

    def _count(
        self,
        who: Principal | TenantPrincipal,
        action: str,
        target: str,
        count: int,
        *,
        is_refusal: bool = False,
    ) -> None:
        owner = who.owner if isinstance(who, Principal) else None
        fact = _Fact(self._now(), who.tenant, who.actor, owner, action, target, is_refusal)
        counts = self._seen if fact in self._seen else self._fresh
        if fact in counts or len(self._fresh) + len(self._seen) < _AGGREGATES:
            counts[fact] = counts.get(fact, 0) + count
        else:
            self._dropped += 1

    def _now(self) -> int:
        return int(self._clock() // 60)

    async def _run(self) -> None:
        pause = TICK_SECONDS
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = TICK_SECONDS
            try:
                await self.flush()
                if self._now() != self._minute or len(self._appends) > _THREADS:
                    await self._end_minute()
            except Unavailable:
                pause = _RETRY_SECONDS
            except Exception:  # noqa: BLE001 - logged; rows that cannot be written must not block others
                _log.exception("audit.failed")
                self._dropped += len(self._fresh) + len(self._late)
                self._fresh.clear()
                self._late.clear()
            self._tell_dropped()

    async def _end_minute(self) -> None:
        """Write the appends, and what was counted after its aggregate's row was written."""
        await self._write_late()
        self._late = [*self._take_appends(), *self._take_repeated()]
        self._minute = self._now()
        await self._write_late()

    async def _write_late(self) -> None:
        while self._late:
            await self._write(self._late[:_ROWS])
            del self._late[:_ROWS]

    def _take_appends(self) -> Iterator[AuditRow]:
        appends, self._appends = self._appends, {}
        for (tenant, owner, actor, thread), count in appends.items():
            yield AuditRow(ids.new_id(), tenant, actor, owner, APPENDED, thread, count)

    def _take_repeated(self) -> Iterator[AuditRow]:
        now = self._now()
        ended = [fact for fact in self._seen if fact.minute != now or self._stopping.is_set()]
        for fact in ended:
            if count := self._seen.pop(fact):
                yield replace(
                    self._row(fact, count), id=ids.new_id(), action=fact.action + REPEATED
                )

    def _row(self, fact: _Fact, count: int) -> AuditRow:
        # Facts of two processes are two facts; a refusal is one, wherever it was answered.
        parts = [str(part).encode() for part in fact] + ([] if fact.is_refusal else [self._process])
        return AuditRow(
            ids.derived_id(fact.minute * 60.0, documents.digest_of(*parts)),
            fact.tenant,
            fact.actor,
            fact.owner,
            fact.action,
            fact.target,
            count,
            is_refusal=fact.is_refusal,
        )

    async def _write(self, rows: Sequence[AuditRow]) -> set[str]:
        """Write rows of both sorts; the ids of those that now stand in the audit."""
        refusals = [row for row in rows if row.is_refusal]
        facts = [row for row in rows if not row.is_refusal]
        if facts:
            await audit.write_rows(self._database, facts)
        written = await audit.write_refusals(self._database, refusals) if refusals else set()
        return written | {row.id for row in facts}

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("audit.dropped", aggregates=dropped)
