"""Append messages and read the log. The hot path: no task and no transaction per message."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence

from threadkeep.domain import documents, limits, messages
from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.domain.threads import DELETED
from threadkeep.errors import Gone, InvalidRequest, NotFound, ThreadkeepError
from threadkeep.services.rates import Rates
from threadkeep.storage import entries
from threadkeep.storage.appender import Appender
from threadkeep.storage.appends import Appended, Item, Verdict
from threadkeep.storage.database import Database
from threadkeep.storage.entries import Page

__all__ = ["KEY_LENGTH", "Appended", "Messages", "Page", "Verdict", "idem_of"]

KEY_LENGTH = 255
"""Longest idempotency key, in characters."""


class Messages:
    """Use cases of messages."""

    def __init__(self, database: Database, appender: Appender, rates: Rates) -> None:
        self._database = database
        self._appender = appender
        self._rates = rates

    def submit(
        self,
        principal: Principal,
        thread: str,
        batch: Sequence[Message],
        key: str | None,
        done: Callable[[Verdict], None],
    ) -> None:
        """Queue messages for one atomic append; `done` gets the verdict after the commit.

        Raises at once for what needs no database: `InvalidRequest`, `TooLarge`, `TooMany`.
        """
        if not 1 <= len(batch) <= limits.MESSAGES_PER_REQUEST:
            raise InvalidRequest(
                f"1 to {limits.MESSAGES_PER_REQUEST} messages are taken at once.", field="messages"
            )
        self._rates.take_messages(principal, len(batch))
        drafts = [messages.draft(m, f"messages[{n}]") for n, m in enumerate(batch)]
        idem = idem_of(key) or uuid.UUID(drafts[0].id).bytes
        digest = documents.digest_of(*[draft.body.encode() for draft in drafts])
        self._appender.submit(
            Item(
                principal.tenant,
                thread,
                principal.owner,
                drafts,
                idem,
                digest,
                done,
                principal.actor,
            )
        )

    async def append(
        self, principal: Principal, thread: str, batch: Sequence[Message], key: str | None
    ) -> Appended:
        """Append messages atomically and wait for the commit; raises what `Verdict` names."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def done(verdict: Verdict) -> None:
            if not future.done():
                future.set_result(verdict)

        self.submit(principal, thread, batch, key, done)
        verdict = await future
        if isinstance(verdict, ThreadkeepError):
            raise verdict
        return verdict

    async def page(  # noqa: PLR0913 - the filters of one read, by keyword
        self,
        principal: Principal,
        thread: str,
        *,
        after: int = 0,
        before: int | None = None,
        backward: bool = False,
        kinds: Sequence[str] | None = None,
        limit: int = 50,
    ) -> Page:
        """Entries with after < seq < before; raises `NotFound`, and `Gone` for a deleted thread."""
        page = await entries.read_page(
            self._database,
            principal.tenant,
            principal.owner,
            thread,
            after=after,
            before=before if before is not None else entries.END,
            backward=backward,
            kinds=kinds,
            limit=limit,
        )
        if page is None:
            raise NotFound
        if page.state == DELETED:
            raise Gone
        return page


def idem_of(key: str | None) -> bytes | None:
    """What is stored of an idempotency key; `InvalidRequest` when it is empty or too long."""
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_LENGTH or "\0" in key or not _is_unicode(key):
        raise InvalidRequest(
            f"An idempotency key has 1 to {KEY_LENGTH} characters.", field="idempotency_key"
        )
    return documents.idem_of(key)


def _is_unicode(text: str) -> bool:
    # A header may hold any bytes: those that are no UTF-8 arrive as lone surrogates.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
