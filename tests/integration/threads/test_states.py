from __future__ import annotations

import itertools

import pytest

from tests.support.postgres import superuser
from tests.support.seeds import set_state
from threadkeep.domain import ids
from threadkeep.domain.threads import ACTIONS, STATES
from threadkeep.errors import Conflict, Gone, NotFound

from .keeping import Keeping, payload

_LEGAL = {
    ("pause", "active"): "paused",
    ("resume", "paused"): "active",
    ("complete", "active"): "completed",
    ("complete", "paused"): "completed",
    **{("archive", state): "archived" for state in ("active", "paused", "completed")},
    **{("delete", state): "deleted" for state in STATES if state != "deleted"},
    ("unarchive", "archived"): "active",
    ("undelete", "deleted"): "active",
}
_WAY_TO = {
    "active": (),
    "paused": ("pause",),
    "completed": ("complete",),
    "archived": ("archive",),
    "deleted": ("delete",),
}


@pytest.mark.parametrize(("action", "state"), list(itertools.product(ACTIONS, STATES)))
async def test_every_pair_of_action_and_state(keeping: Keeping, action: str, state: str) -> None:
    """The allowed ones change state, log and version together; all others change nothing."""
    thread = await keeping.thread()
    for step in _WAY_TO[state]:
        thread = await keeping.threads.act(keeping.ann, thread.id, step)
    before = len(keeping.published)

    if target := _LEGAL.get((action, state)):
        changed = await keeping.threads.act(keeping.ann, thread.id, action)

        (entry,) = keeping.published[before:]
        assert changed.state == target
        assert changed.version == thread.version + 1
        assert changed.updated_at == entry.at > thread.updated_at
        kind = "thread_deleted" if action == "delete" else "thread_state_changed"
        assert entry.kind == kind
        assert payload(entry) == {
            "action": action,
            "from": state,
            "to": target,
            "version": changed.version,
        }
    else:
        error = Gone if state == "deleted" else Conflict
        with pytest.raises(error) as caught:
            await keeping.threads.act(keeping.ann, thread.id, action)
        if isinstance(caught.value, Conflict):
            assert caught.value.state == state
        assert len(keeping.published) == before
        async with superuser(keeping.given.superuser_url) as connection:
            kept = await connection.fetchrow(
                "SELECT h.state, h.last_seq, t.version FROM heads h, threads t WHERE t.id = $1",
                thread.id,
            )
        assert kept is not None
        assert tuple(kept) == (state, thread.last_seq, thread.version)


async def test_a_way_down_through_archive_and_deletion_leads_up_again(keeping: Keeping) -> None:
    thread = await keeping.thread()
    states = [
        (await keeping.threads.act(keeping.ann, thread.id, action)).state
        for action in ("pause", "archive", "delete", "undelete", "unarchive", "resume")
    ]

    assert states == ["paused", "archived", "deleted", "archived", "paused", "active"]


async def test_a_thread_on_hold_is_not_deleted(keeping: Keeping) -> None:
    thread = await keeping.thread()
    held = await keeping.threads.hold(keeping.ann, thread.id, on=True)
    again = await keeping.threads.hold(keeping.ann, thread.id, on=True)

    with pytest.raises(Conflict):
        await keeping.threads.act(keeping.ann, thread.id, "delete")

    assert held.hold
    assert (held.version, again) == (2, held)
    await keeping.threads.hold(keeping.ann, thread.id, on=False)
    assert (await keeping.threads.act(keeping.ann, thread.id, "delete")).state == "deleted"


async def test_deleting_a_thread_asks_its_runs_to_end(keeping: Keeping) -> None:
    thread = await keeping.thread()
    async with superuser(keeping.given.superuser_url) as connection:
        for status in ("running", "completed"):
            await connection.execute(
                "INSERT INTO runs (tenant_id, id, thread_id, owner, agent_id, agent, kind, status,"
                " created_at) VALUES ($1, $2, $3, $4, $2, 'a', 'worker', $5, now())",
                thread.tenant,
                ids.new_id(),
                thread.id,
                thread.owner,
                status,
            )

        await keeping.threads.act(keeping.ann, thread.id, "delete")

        rows = await connection.fetch("SELECT status FROM runs WHERE cancel_requested")
        assert [row["status"] for row in rows] == ["running"]


async def test_an_append_reopens_a_completed_thread_and_only_that(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.threads.act(keeping.ann, thread.id, "complete")

    await keeping.say(thread.id, "again")

    reopened = await keeping.threads.get(keeping.ann, thread.id)
    assert (reopened.state, reopened.version, reopened.last_seq) == ("active", 3, 4)
    (said,) = [payload(e) for e in await keeping.log(thread.id) if e.seq == 3]
    assert said == {"action": "reopen", "from": "completed", "to": "active", "version": 3}
    for state in ("paused", "archived"):
        await set_state(keeping.given.superuser_url, thread.id, state)
        with pytest.raises(Conflict):
            await keeping.say(thread.id, "no")


async def test_an_unknown_action_is_not_found(keeping: Keeping) -> None:
    thread = await keeping.thread()

    with pytest.raises(NotFound):
        await keeping.threads.act(keeping.ann, thread.id, "explode")
