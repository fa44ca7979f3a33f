"""Objects as callers see them, where more than one edge shows the same one."""

from __future__ import annotations

from typing import Any

from threadkeep.domain import ids
from threadkeep.domain.entries import Cursor, timestamp
from threadkeep.domain.threads import Thread


def thread_object(thread: Thread) -> dict[str, Any]:
    """A thread as HTTP, snapshots and the user's feed show it."""
    return {
        "id": ids.to_public(ids.THREAD, thread.id),
        "tenant_id": ids.to_public(ids.TENANT, thread.tenant),
        "owner": thread.owner,
        "external_id": thread.external_id,
        "title": thread.title,
        "metadata": thread.metadata,
        "version": thread.version,
        "state": thread.state,
        "hold": thread.hold,
        "epoch": thread.epoch,
        "last_seq": thread.last_seq,
        "cursor": Cursor(thread.epoch, thread.last_seq).text(),
        "created_at": timestamp(thread.created_at),
        "updated_at": timestamp(thread.updated_at),
        "last_activity_at": timestamp(thread.last_activity_at),
    }
