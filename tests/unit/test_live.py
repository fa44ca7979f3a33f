"""When open connections are looked after, and what a standstill of the process does to that."""

from __future__ import annotations

from typing_extensions import override

from threadkeep.web.live import Connection, Live


class Counted(Connection):
    """A connection that counts how often it was looked after."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.beats = 0

    @property
    @override
    def is_busy(self) -> bool:
        return False

    @override
    def beat(self) -> float:
        self.beats += 1
        return self.every

    @override
    def warn(self, reconnect_after_ms: int, reason: str) -> None:
        raise AssertionError

    @override
    def leave(self) -> None:
        raise AssertionError

    @override
    def cut(self) -> None:
        raise AssertionError


def test_each_connection_is_looked_after_in_its_own_time() -> None:
    live = Live()
    often, seldom = Counted(1.0), Counted(10.0)
    live.add(often, 1.0)
    live.add(seldom, 10.0)
    for now in range(1, 31):
        live._beat(now)
    assert (often.beats, seldom.beats) == (30, 3)


def test_a_connection_that_is_over_is_looked_after_no_more() -> None:
    live = Live()
    gone, there = Counted(1.0), Counted(1.0)
    live.add(gone, 1.0)
    live.add(there, 1.0)
    live._beat(1)
    live.remove(gone)
    live.remove(gone)
    live._beat(2)
    assert (gone.beats, there.beats) == (1, 2)


def test_after_a_standstill_peers_are_heard_before_they_are_judged() -> None:
    live = Live()
    connection = Counted(10.0)
    live.add(connection, 5.0)
    live._beat(1)
    live._beat(100)
    assert connection.beats == 0
    live._beat(101)
    assert connection.beats == 1
    for now in range(102, 112):
        live._beat(now)
    assert connection.beats == 2
