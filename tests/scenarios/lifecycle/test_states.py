"""A thread moves through its states as the machine says, and remembers how."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ..callers import Caller, Tenant
from ..figures import Figures
from ..stage import Stage

pytestmark = pytest.mark.scenario("lifecycle", "state transitions")

ACTIONS = ("pause", "resume", "complete", "archive", "unarchive", "delete", "undelete")
LEADS_TO = {
    ("active", "pause"): "paused",
    ("active", "complete"): "completed",
    ("active", "archive"): "archived",
    ("active", "delete"): "deleted",
    ("paused", "resume"): "active",
    ("paused", "complete"): "completed",
    ("paused", "archive"): "archived",
    ("paused", "delete"): "deleted",
    ("completed", "archive"): "archived",
    ("completed", "delete"): "deleted",
    ("archived", "unarchive"): "active",
    ("archived", "delete"): "deleted",
    ("deleted", "undelete"): "active",
}
WAY_TO = {
    "active": (),
    "paused": ("pause",),
    "completed": ("complete",),
    "archived": ("archive",),
    "deleted": ("delete",),
}


async def step(user: Caller, thread: str, action: str) -> tuple[int, dict[str, object]]:
    """What the service answers to an action."""
    path = f"/v1/threads/{thread}"
    if action == "delete":
        answer = await user.send("DELETE", path)
    else:
        answer = await user.send("POST", f"{path}/{action}")
    return answer.status_code, answer.json()


async def test_the_usual_life_is_accepted_and_each_step_is_later(tenant: Tenant) -> None:
    user = tenant.user("ann")
    seen = [await user.create()]
    for number, action in enumerate(("pause", "resume", "complete", "archive"), 1):
        await tenant.user("ann", at=number).act(seen[0]["id"], action)
        seen.append(await tenant.user("ann", at=number + 1).thread(seen[0]["id"]))

    assert [t["state"] for t in seen] == ["active", "paused", "active", "completed", "archived"]
    assert [t["version"] for t in seen] == [1, 2, 3, 4, 5]
    assert all(a["updated_at"] < b["updated_at"] for a, b in pairwise(seen))
    log = await user.entries(seen[0]["id"])
    assert [entry["payload"]["to"] for entry in log if entry["type"] == "thread_state_changed"] == [
        "paused",
        "active",
        "completed",
        "archived",
    ]


async def test_every_pair_of_state_and_action_is_as_documented(
    tenant: Tenant, figures: Figures
) -> None:
    """A legal one leads where it should; any other is a conflict that changes nothing."""
    user, wrong = tenant.user("ann"), []
    for state, way in WAY_TO.items():
        for action in ACTIONS:
            thread = (await user.create())["id"]
            for each in way:
                await step(user, thread, each)
            before = await user.entries(thread) if state != "deleted" else None
            status, body = await step(user, thread, action)
            expected = LEADS_TO.get((state, action))
            if expected is not None:
                is_right = status == 200 and body["state"] == expected
            elif state == "deleted":
                is_right = status == 410
            else:
                is_right = status == 409 and body["error"]["state"] == state  # type: ignore[index]  # parsed JSON
                is_right = is_right and await user.entries(thread) == before
            if not is_right:
                wrong.append((state, action, status, body))

    assert wrong == []
    pairs = len(WAY_TO) * len(ACTIONS)
    figures.record("pairs of state and action", pairs, n=pairs)
    figures.record("illegal pairs refused", pairs - len(LEADS_TO), n=pairs)


async def test_unarchive_and_undelete_lead_back_to_the_former_state(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    states = []
    for action in ("pause", "archive", "unarchive", "delete", "undelete"):
        status, body = await step(user, thread, action)
        assert status == 200, body
        states.append(body["state"])

    assert states == ["paused", "archived", "paused", "deleted", "paused"]


@pytest.mark.parametrize(("way", "status"), [("pause", 409), ("archive", 409), ("delete", 410)])
async def test_messages_are_refused_where_the_state_does_not_take_them(
    tenant: Tenant, way: str, status: int
) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    await step(user, thread, way)
    body = {"messages": [{"content": "hello"}]}
    refused = await user.send("POST", f"/v1/threads/{thread}/messages", json=body)

    assert refused.status_code == status


async def test_a_message_reopens_a_completed_thread_and_the_log_says_so(tenant: Tenant) -> None:
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    await user.act(thread, "complete")
    await user.say(thread, "one more thing")
    log = await user.entries(thread)

    assert (await user.thread(thread))["state"] == "active"
    assert [entry["type"] for entry in log][-2:] == ["thread_state_changed", "message"]
    assert log[-2]["payload"]["from"] == "completed"


async def test_states_survive_a_restart_of_every_process(stage: Stage) -> None:
    tenant = await stage.operator.tenant()
    user = tenant.user("ann")
    threads = {}
    for state, way in WAY_TO.items():
        threads[state] = (await user.create())["id"]
        for action in way:
            await step(user, threads[state], action)
    before = {s: await user.thread(t) for s, t in threads.items() if s != "deleted"}
    for number in range(2):
        await stage.faults.restart(number)
    after = {s: await user.thread(t) for s, t in threads.items() if s != "deleted"}

    assert {state: thread["state"] for state, thread in after.items()} == {s: s for s in after}
    assert after == before
    await user.ask("GET", f"/v1/threads/{threads['deleted']}", 410)
