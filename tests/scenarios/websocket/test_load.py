"""Many sockets at once get everything soon, and one that does not read is no burden to others."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from ..callers import Caller, Json, Platform, Tenant
from ..figures import Figures
from ..fleet import Fleet
from ..levels import Levels
from ..wire import Socket, open_socket
from .conftest import Way
from .runs import FIVE, is_end, kinds, make_player

pytestmark = [
    pytest.mark.scenario("websocket", "load"),
    pytest.mark.timeout(300),
]

USERS: Final = 10
ROUNDS: Final = 3
RUN_MS: Final = 1000
ROUND_MS: Final = 5000
_TEXT: Final = "x" * 40_000
_SLOW: Final = 'threadkeep_slow_consumers_total{transport="websocket"}'
_BURST: Final = 20
"""Of these; they fit into the queue of one who reads, even if he begins when all are sent."""
_MOST: Final = 400
"""Messages after which a reader that takes nothing must have been given up."""


async def test_ten_users_get_all_events_of_three_rounds(
    way: Way, operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    """Ten sockets stay open; in each round all users start a run at the same moment."""
    agent = await make_player(operator, tenant)
    async with AsyncExitStack() as stack:
        players = [
            Player(
                await stack.enter_async_context(tenant.user(f"user-{n}", at=n).socket()),
                (await tenant.user(f"user-{n}").create())["id"],
                agent,
            )
            for n in range(USERS)
        ]
        await asyncio.gather(*(player.subscribe() for player in players))
        rounds = [await _timed_round(players) for _ in range(ROUNDS)]
        for player in players:
            assert (await player.socket.command("ping"))["type"] == "ok"
            assert player.socket.frames == []

    events = [len(player.seen) for player in players]
    assert events == [len(FIVE) * ROUNDS] * USERS
    assert len({frame["id"] for player in players for frame in player.seen}) == sum(events) == 150
    for player in players:
        assert kinds(player.seen) == FIVE * ROUNDS
        assert {frame["thread_id"] for frame in player.seen} == {player.thread}
    seconds = [each for player in players for each in player.seconds]
    limit = RUN_MS if way.is_woken else RUN_MS + way.frame_ms
    figures.latencies(f"{way.name}: run", seconds, avg=limit)
    slowest = max(rounds) * 1000
    figures.judge(f"{way.name}: slowest round", slowest, "ms", n=ROUNDS, below=ROUND_MS)
    figures.record(f"{way.name}: events of 150", sum(events), n=sum(events))


class Player:
    """A user with one socket, who runs the agent in one thread."""

    def __init__(self, socket: Socket, thread: str, agent: str) -> None:
        self.socket = socket
        self.thread = thread
        self.seen: list[Json] = []
        self.seconds: list[float] = []
        self._agent = agent

    async def subscribe(self) -> None:
        """Follow the thread."""
        answer = await self.socket.command("subscribe", thread_id=self.thread, after_seq=1)
        assert answer.get("verdict") == "resumed", answer

    async def run(self) -> None:
        """One run, to its last event."""
        begun = time.perf_counter()
        answer = await self.socket.command("start_agent", thread_id=self.thread, agent=self._agent)
        assert answer["type"] == "ok", answer
        self.seen += await self.socket.until(is_end)
        self.seconds.append(time.perf_counter() - begun)


async def _timed_round(players: list[Player]) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(player.run() for player in players))
    return time.perf_counter() - begun


class FanOut:
    """Sockets that follow one thread: which seq each is at, and how long each frame took."""

    def __init__(self, first: int) -> None:
        self.seconds: list[float] = []
        self._first = first
        self._sent = 0.0
        self._missing = 0
        self._is_complete = asyncio.Event()

    async def follow(self, socket: Socket, count: int) -> None:
        """Take frames, each the next one."""
        for seq in range(self._first, self._first + count):
            frame = await socket.next(30)
            assert frame["seq"] == seq, "not the next entry"
            self.seconds.append(time.perf_counter() - self._sent)
            self._missing -= 1
            if not self._missing:
                self._is_complete.set()

    async def tell(self, user: Caller, thread: str, readers: int) -> None:
        """Append a message; return when every socket has it."""
        self._missing = readers
        self._is_complete.clear()
        self._sent = time.perf_counter()
        await user.say(thread, "to everybody")
        await self._is_complete.wait()


async def test_one_message_reaches_many_sockets(
    way: Way, tenant: Tenant, levels: Levels, figures: Figures
) -> None:
    """Half of the sockets are at the other process."""
    user = tenant.user("ann")
    thread = await user.create()
    count = -(-levels.frames // levels.sockets) if way.is_woken else 5
    fan = FanOut(thread["last_seq"] + 1)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for n in range(levels.sockets):
            opened = tenant.user("ann", at=n).socket()
            socket = await stack.enter_async_context(opened)
            await socket.command("subscribe", thread_id=thread["id"], after_seq=1)
            group.create_task(fan.follow(socket, count))
        for _ in range(count):
            await fan.tell(user, thread["id"], levels.sockets)

    assert len(fan.seconds) == count * levels.sockets
    figures.record(f"{way.name}: sockets", levels.sockets, n=levels.sockets)
    longest = None if way.is_woken else way.frame_ms
    figures.latencies(f"{way.name}: fan-out", fan.seconds, p95=way.frame_ms, longest=longest)


async def test_who_does_not_read_is_closed_and_others_do_not_notice(
    way: Way, tenant: Tenant, fleet: Fleet, figures: Figures
) -> None:
    """It gets everything up to its last cursor, a reason, 4408, and the rest when it comes back."""
    user, other = tenant.user("ann"), tenant.user("ann", at=1)
    thread = (await user.create())["id"]
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(_deaf(user))
        readers = [await stack.enter_async_context(each.socket()) for each in (user, other)]
        for socket in (slow, *readers):
            await socket.command("subscribe", thread_id=thread, after_seq=1)
        urls = [user.url] if not way.is_remote else fleet.urls
        before, last = await _closed_as_slow(urls), 1
        while last < _MOST and await _closed_as_slow(urls) == before:
            await user.say(thread, *([_TEXT] * _BURST))
            for reader in readers:
                seqs = [(await reader.next(30))["seq"] for _ in range(_BURST)]
                assert seqs == list(range(last + 1, last + 1 + _BURST))
            last += _BURST
        taken, told, code = await _rest(slow)
        assert (code, told["error"]["code"]) == (4408, "slow_consumer")
        assert taken == list(range(2, 2 + len(taken)))
        cursor = told["cursors"][thread]
        assert cursor.endswith(f"-{1 + len(taken)}")
        for reader in readers:
            assert (await reader.command("ping"))["type"] == "ok"
    async with other.socket() as back:
        answer = await back.command("subscribe", thread_id=thread, cursor=cursor)
        assert answer.get("verdict") == "resumed", answer
        seqs = [(await back.next())["seq"] for _ in range(last - 1 - len(taken))]
    assert seqs == list(range(2 + len(taken), last + 1))
    figures.record(f"{way.name}: messages of 40 KB before it was closed", len(taken), n=last)


async def _closed_as_slow(urls: list[str]) -> float:
    """How many sockets these processes have closed for it."""
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        pages = [(await client.get(f"{url}/metrics")).text for url in urls]
    lines = [line for page in pages for line in page.splitlines() if line.startswith(_SLOW)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@asynccontextmanager
async def _deaf(user: Caller) -> AsyncIterator[Socket]:
    """A socket with little room before it, of which nothing is read unless it is asked for."""
    sock = sockets.socket()
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 * 1024)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    address = httpx.URL(user.url)
    await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port or 80))
    async with open_socket(user.url, user.headers, sock=sock, max_queue=1) as socket:
        yield socket


async def _rest(slow: Socket) -> tuple[list[int], Json, int]:
    """Seqs that it was sent, the error that came last, and the code with which it was closed."""
    seqs, told = list[int](), dict[str, object]()
    try:
        while True:
            assert len(seqs) < _MOST - 1, "who does not read was not closed"
            frame = await slow.next()
            if frame["type"] == "message":
                seqs.append(frame["seq"])
            else:
                told = frame
    except ConnectionClosed as exc:
        return seqs, told, exc.rcvd.code if exc.rcvd else 1006
