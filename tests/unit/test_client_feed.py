"""What a reader's queue takes of what a socket brings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgspec

from threadkeep.client import RetryPolicy
from threadkeep.client.events import Entry, decode_entry
from threadkeep.client.feeds import Feed, State
from threadkeep.client.sockets import Socket
from threadkeep.client.transport import Transport


def entry(seq: int, epoch: str = "e") -> Entry:
    fields = {"id": f"evt_{seq}", "type": "note", "epoch": epoch, "seq": seq, "payload": {}}
    ids = {"tenant_id": "ten_1", "thread_id": "thr_1", "run_id": None}
    return decode_entry(msgspec.json.encode({**fields, **ids, "ts": "2026-01-01T00:00:00Z"}))


def resumed_at(seq: int) -> Feed:
    feed = Feed("thr_1", cursor=f"e-{seq}", after_seq=None, limit=10)
    feed.joined("resumed", "e", 9)
    return feed


async def test_what_begins_anew_is_not_taken_by_a_feed_that_has_left() -> None:
    """A new history that crosses with the end of a subscription: the service sends no more."""
    socket = Socket(cast("Transport", SimpleNamespace(policy=RetryPolicy())))
    anew = {"type": "subscribed", "thread_id": "thr_1", "verdict": "forked", "epoch": "f"}
    seen = {}
    for state in State:
        feed = resumed_at(3)
        socket.feeds["thr_1"], feed.state, feed.command = feed, state, 7
        socket._receive(msgspec.json.encode({**anew, "last_seq": 9}).decode())
        seen[state] = feed.epoch

    assert {state for state, epoch in seen.items() if epoch == "f"} == {State.WAITING, State.LIVE}


def test_a_repeat_is_dropped_and_nothing_is_asked_for_again() -> None:
    feed = resumed_at(3)

    assert [feed.entry(entry(seq), 1) for seq in (4, 4, 3, 5, 4, 5)] == [True] * 6
    assert [each.seq for each, _ in feed._queue if isinstance(each, Entry)] == [4, 5]
    assert feed.cursor == "e-5"


def test_a_hole_is_noticed_and_nothing_behind_it_is_taken() -> None:
    feed = resumed_at(3)

    assert [feed.entry(entry(seq), 1) for seq in (4, 6)] == [True, False]
    assert feed.cursor == "e-4"


def test_an_entry_of_another_history_is_not_taken() -> None:
    feed = resumed_at(3)

    assert feed.entry(entry(4, epoch="other"), 1) is False
    assert feed.cursor == "e-3"
