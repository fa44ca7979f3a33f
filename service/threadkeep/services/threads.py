"""Threads: create or get, read, list, change, move through their states, hold, mark as read."""

from __future__ import annotations

import secrets
from typing import Any, Final

from msgspec import UNSET

from threadkeep.domain import documents, ids, limits, listing, moments, words
from threadkeep.domain.entries import (
    THREAD_CREATED,
    THREAD_DELETED,
    THREAD_STATE_CHANGED,
    THREAD_UPDATED,
    Entry,
)
from threadkeep.domain.listing import Listing, Place
from threadkeep.domain.principals import Principal
from threadkeep.domain.threads import (
    ACTIONS,
    DELETED,
    EXTERNAL_ID_LENGTH,
    STATES,
    TITLE_LENGTH,
    Thread,
    ThreadPatch,
    ThreadQuery,
    step,
)
from threadkeep.errors import Gone, InvalidRequest, NotFound, StaleVersion
from threadkeep.services.journal import Journal, Writing, event
from threadkeep.storage import threads
from threadkeep.storage.database import Database

__all__ = ["ThreadPatch", "ThreadQuery", "Threads"]

_LIST: Final = b"t"
_VISIBLE: Final = tuple(state for state in STATES if state != DELETED)
_Change = dict[str, Any]
"""`{"from": …, "to": …}`; a side where there was nothing, or is nothing any more, is left out."""


class Threads:
    """Use cases of threads. Someone else's thread is `NotFound`, one's own deleted one `Gone`."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    async def create(
        self,
        principal: Principal,
        *,
        external_id: str | None,
        title: str | None,
        metadata: dict[str, Any],
    ) -> tuple[Thread, bool]:
        """A new thread, or the one with this external id as it is; True when it is new.

        Raises `Gone` where the thread with this external id is deleted.
        """
        _check_text(external_id, "external_id", EXTERNAL_ID_LENGTH)
        _check_text(title, "title", TITLE_LENGTH)
        kept = documents.canonical(metadata, field="metadata", limit=limits.METADATA_BYTES)
        first = event(
            THREAD_CREATED,
            {"external_id": external_id, "title": title, "metadata": metadata, "version": 1},
        )
        new = threads.NewThread(
            id=ids.new_id(),
            external_id=external_id,
            title=title,
            metadata=kept,
            salt=secrets.randbits(63),
            entry=first.id,
            body=first.body,
        )
        thread, is_new = await threads.create(
            self._database, principal.tenant, principal.owner, new
        )
        if is_new:
            self._journal.publish(principal.owner, [_first_entry(thread, new)])
        return _present(thread), is_new

    async def get(self, principal: Principal, thread: str) -> Thread:
        """One thread; raises `NotFound` and `Gone`."""
        found = await threads.read(self._database, principal.tenant, principal.owner, thread)
        return _present(found)

    async def list(self, principal: Principal, query: ThreadQuery) -> Listing[Thread]:
        """Own threads, newest activity first; without a state every one but the deleted."""
        listing.check(
            limit=query.limit, most=limits.PAGE_ITEMS, after=query.after, before=query.before
        )
        wanted = _filter(principal, query)
        if wanted is None:
            return Listing([], has_more=False, next=None, previous=None)
        rows = await threads.read_list(self._database, principal.tenant, principal.owner, wanted)
        return listing.page(
            rows, kind=_LIST, limit=query.limit, after=query.after, before=query.before
        )

    async def patch(
        self, principal: Principal, thread: str, changes: ThreadPatch, *, if_match: int | None
    ) -> Thread:
        """Merge title and metadata (RFC 7396); what changes nothing leaves the version.

        Raises `StaleVersion` when the version is not `if_match`, and `TooLarge` when the merged
        metadata would be.
        """
        merge = _merge_of(changes)
        if changes.title is not UNSET:
            _check_text(changes.title, "title", TITLE_LENGTH)
        async with self._journal.writing(principal, thread) as writing:
            _refuse_deleted(writing)
            key = (writing.connection, writing.head)
            old = await threads.describe(*key, merge)
            if if_match is not None and old.version != if_match:
                raise StaleVersion(f"The version is {old.version}, not {if_match}.")
            documents.canonical(old.merged, field="metadata", limit=limits.METADATA_BYTES)
            title = old.title if changes.title is UNSET else changes.title
            if changed := _history(old, title):
                body = {"changes": changed, "version": old.version + 1}
                (entry,) = await writing.append(event(THREAD_UPDATED, body))
                await threads.change(*key, at=entry.at, title=title, patch=merge)
            return await _result(writing)

    async def act(self, principal: Principal, thread: str, action: str) -> Thread:
        """Move it to another state; `Conflict` with the state where that is not allowed.

        A deleted thread's runs are asked to end.
        """
        if action not in ACTIONS:
            raise NotFound("There is no such action.")
        async with self._journal.writing(principal, thread) as writing:
            head = writing.head
            key = (writing.connection, writing.head)
            old = await threads.describe(*key)
            state, former = step(action, head.state, old.former, hold=head.hold)
            body = {
                "action": action,
                "from": head.state,
                "to": state,
                "version": old.version + 1,
            }
            kind = THREAD_DELETED if state == DELETED else THREAD_STATE_CHANGED
            (entry,) = await writing.append(event(kind, body), state=state)
            is_deleted = state == DELETED
            await threads.remember(*key, at=entry.at, former=former, is_deleted=is_deleted)
            if is_deleted:
                await threads.cancel_runs(*key)
            return await _result(writing)

    async def hold(self, principal: Principal, thread: str, *, on: bool) -> Thread:
        """Put it under legal hold, or end that; a held thread cannot be deleted."""
        async with self._journal.writing(principal, thread) as writing:
            _refuse_deleted(writing)
            if writing.head.hold != on:
                key = (writing.connection, writing.head)
                old = await threads.describe(*key)
                changed = {"hold": {"from": writing.head.hold, "to": on}}
                body = {"changes": changed, "version": old.version + 1}
                (entry,) = await writing.append(event(THREAD_UPDATED, body))
                await threads.set_hold(*key, is_held=on)
                await threads.change(*key, at=entry.at, title=old.title, patch=b"{}")
            return await _result(writing)

    async def mark_read(self, principal: Principal, thread: str, seq: int) -> int:
        """Note that everything up to `seq` was read; the marker, which never goes back."""
        if not 0 <= seq < 2**62:
            raise InvalidRequest("This is not a seq.", field="seq")
        row = await threads.move_read_marker(
            self._database, principal.tenant, principal.owner, thread, seq
        )
        if row is None:
            raise NotFound
        if row["state"] == DELETED:
            raise Gone
        if seq > row["last_seq"]:
            raise InvalidRequest(f"The log ends at {row['last_seq']}.", field="seq")
        marker: int = row["seq"]
        return marker


def _present(thread: Thread | None) -> Thread:
    if thread is None:
        raise NotFound
    if thread.state == DELETED:
        raise Gone
    return thread


def _refuse_deleted(writing: Writing) -> None:
    if writing.head.state == DELETED:
        raise Gone


async def _result(writing: Writing) -> Thread:
    head = writing.head
    thread = await threads.read(writing.connection, head.tenant, head.owner, head.thread)
    assert thread is not None  # noqa: S101 - its head is locked
    return thread


def _first_entry(thread: Thread, new: threads.NewThread) -> Entry:
    return Entry(
        tenant=thread.tenant,
        thread=thread.id,
        epoch=thread.epoch,
        seq=1,
        id=new.entry,
        kind=THREAD_CREATED,
        run=None,
        body=new.body,
        at=thread.created_at,
    )


def _check_text(text: str | None, field: str, most: int) -> None:
    if text is None:
        return
    if not 1 <= len(text) <= most:
        raise InvalidRequest(f"1 to {most} characters are allowed.", field=field)
    documents.canonical(text, field=field, limit=most * 6 + 2)


def _merge_of(changes: ThreadPatch) -> bytes:
    """The merge patch of the metadata; null for all of them takes all away."""
    if changes.metadata is UNSET:
        return b"{}"
    if changes.metadata is None:
        return b"null"
    return documents.canonical(changes.metadata, field="metadata", limit=limits.METADATA_BYTES)


def _history(old: threads.Described, title: str | None) -> dict[str, _Change]:
    """What the patch changes, key by key."""
    changed: dict[str, Any] = {}
    if title != old.title:
        changed["title"] = {"from": old.title, "to": title}
    keys = {
        key: change
        for key in sorted(old.metadata.keys() | old.merged.keys())
        if (change := _changed(key, old.metadata, old.merged))
    }
    if keys:
        changed["metadata"] = keys
    return changed


def _changed(key: str, old: dict[str, Any], new: dict[str, Any]) -> _Change | None:
    sides = {name: side[key] for name, side in (("from", old), ("to", new)) if key in side}
    return None if len(sides) == 2 and _same(sides["from"], sides["to"]) else sides


def _same(one: object, other: object) -> bool:
    # As JSON: in Python 1 == True.
    most = limits.METADATA_BYTES * 2
    first, second = (documents.canonical(v, field="metadata", limit=most) for v in (one, other))
    return first == second


def _filter(principal: Principal, query: ThreadQuery) -> threads.Filter | None:
    """What to look for, or None where nothing can match."""
    if query.state is not None and query.state not in STATES:
        raise InvalidRequest("There is no such state.", field="state")
    _check_text(query.external_id, "external_id", EXTERNAL_ID_LENGTH)
    metadata = None
    if query.metadata is not None:
        metadata = documents.canonical(
            query.metadata, field="metadata", limit=limits.METADATA_BYTES
        )
    if query.updated_since is not None:
        moments.check(query.updated_since, field="updated_since")
    found = None
    if query.q is not None:
        found = words.query_of(query.q, words.mark_of(principal.tenant, principal.owner))
    if found is not None and not found:
        return None
    return threads.Filter(
        states=_VISIBLE if query.state is None else (query.state,),
        external_id=query.external_id,
        metadata=metadata,
        since=query.updated_since,
        words=" & ".join(found) if found is not None else None,
        after=_place(query.after, "after"),
        before=_place(query.before, "before"),
        limit=query.limit + 1,
    )


def _place(cursor: str | None, field: str) -> Place | None:
    return listing.decode(_LIST, cursor, field=field) if cursor is not None else None
