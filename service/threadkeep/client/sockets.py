"""One WebSocket for any number of threads, opened again for as long as somebody needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
import msgspec

from threadkeep.client.commands import Answer, Commands
from threadkeep.client.dialing import Dialer
from threadkeep.client.errors import (
    ClientClosed,
    ThreadkeepError,
    TooMany,
    Unavailable,
    from_error,
)
from threadkeep.client.events import (
    Entry,
    Ephemeral,
    MessageDelta,
    Snapshot,
    ThreadChanged,
    decode_entry,
)
from threadkeep.client.feeds import USER, Feed, State, UserFeed
from threadkeep.client.transport import Transport

_ENTRY: Final = '{"v":1,"id":"'
"""How the canonical form of every entry begins."""


class _SnapshotPayload(msgspec.Struct):
    thread: dict[str, Any]
    entries: list[msgspec.Raw]
    first_seq: int
    last_seq: int
    active_runs: list[dict[str, Any]]
    partial_messages: list[dict[str, Any]]


class _SnapshotFrame(msgspec.Struct):
    thread_id: str
    payload: _SnapshotPayload


class Socket:
    """Opens itself when it is first used. Every public method returns at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self.feeds: dict[str, Feed] = {}
        self._commands = Commands(transport.policy, self._post)
        self._connection: aiohttp.ClientWebSocketResponse | None = None
        self._outbox: deque[str] = deque()
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._error: ThreadkeepError | None = None
        self._dialer = Dialer(transport)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._connection is not None

    @property
    def is_over(self) -> bool:
        """Whether it has given up: it takes nothing any more."""
        return self._error is not None

    def command(self, fields: dict[str, Any], *, is_repeatable: bool) -> asyncio.Future[Answer]:
        """Send a command, and again after a break where that is safe."""
        self._start()
        return self._commands.submit(fields, is_repeatable=is_repeatable)

    def add(self, feed: Feed) -> None:
        """Begin to fill a feed; its thread must not have one here yet."""
        self.feeds[feed.thread] = feed
        self._start()
        self._join(feed)

    def remove(self, feed: Feed) -> None:
        """Stop filling a feed."""
        if self.feeds.get(feed.thread) is feed:
            del self.feeds[feed.thread]
            if feed.state in (State.JOINING, State.WAITING, State.LIVE):
                self._leave(feed)
        feed.end(None)

    def taken(self, feed: Feed) -> None:
        """The reader has taken an event: a paused feed may join again."""
        if feed.state is State.PAUSED and feed.is_low:
            self._join(feed)

    def cut(self, connection: aiohttp.ClientWebSocketResponse | None = None) -> None:
        """Drop the connection on purpose; it is opened again, and everything resumed.

        With `connection` only where it still is that one.
        """
        if self._connection is not None and connection in (None, self._connection):
            self._later(self._connection.close(code=aiohttp.WSCloseCode.GOING_AWAY))

    async def aclose(self) -> None:
        """Close the connection; what waits is told so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._end(ClientClosed("The client was closed."))

    def _start(self) -> None:
        if self._error is not None:
            raise self._error
        if self._task is None:
            self._task = self._loop.create_task(self._live(), name="threadkeep socket")

    async def _live(self) -> None:
        try:
            await self._run()
        except ThreadkeepError as exc:
            self._end(exc)
        except Exception as exc:  # noqa: BLE001 - told to everybody who waits
            self._end(ThreadkeepError(f"The service sent something unexpected: {exc!r}"))

    async def _run(self) -> None:
        while True:
            async with await self._dialer.open() as connection:
                await self._serve(connection)
            self._dialer.closed(connection.close_code)
            await self._dialer.pause()

    async def _serve(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        writer = self._loop.create_task(self._write(connection), name="threadkeep writer")
        try:
            for feed in self.feeds.values():
                if feed.state is State.IDLE:
                    self._join(feed)
            self._commands.connected()
            async for message in connection:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._receive(message.data)
        finally:
            self._connection = None
            writer.cancel()
            self._outbox.clear()
            self._commands.disconnected()
            for feed in self.feeds.values():
                if feed.state in (State.JOINING, State.WAITING, State.LIVE):
                    feed.state = State.IDLE

    async def _write(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):  # the reader finds out and opens another one
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._outbox:
                    await connection.send_str(self._outbox.popleft())

    def _post(self, text: str) -> bool:
        if self._connection is None:
            return False
        self._outbox.append(text)
        self._filled.set()
        return True

    def _receive(self, text: str) -> None:
        if text.startswith(_ENTRY):
            self._on_entry(decode_entry(text), len(text))
            return
        frame = msgspec.json.decode(text)
        kind = frame.get("type")
        if kind == "ok":
            self._on_ok(frame)
        elif kind == "subscribed":
            self._on_subscribed(frame)
        elif kind == "snapshot":
            self._on_snapshot(text)
        elif kind == "error":
            self._on_error(frame)
        elif kind == "drain":
            self._on_drain(frame)
        else:
            self._on_other(frame, len(text))

    def _on_entry(self, entry: Entry, size: int) -> None:
        feed = self.feeds.get(entry.thread_id)
        if feed is None:
            return
        if not feed.entry(entry, size):
            self._leave(feed)
            self._join(feed)
        else:
            self._pause_full(feed)

    def _pause_full(self, feed: Feed) -> None:
        if feed.is_full and feed.state is State.LIVE:
            feed.state = State.PAUSED
            self._leave(feed)

    def _on_ok(self, frame: Answer) -> None:
        feed = self.feeds.get(USER)
        if isinstance(feed, UserFeed) and frame["re"] == feed.command:
            feed.live()
        else:
            self._commands.answered(frame["re"], frame)

    def _on_subscribed(self, frame: Answer) -> None:
        feed = self.feeds.get(frame["thread_id"])
        if feed is None:
            return
        # An answer to an earlier subscription of the same thread is no answer to this one; what
        # the service begins anew is over where this side has left, or has asked again.
        number = frame.get("re")
        is_anew = number is None and feed.state in (State.WAITING, State.LIVE)
        if is_anew or (number == feed.command and feed.state is State.JOINING):
            feed.joined(frame["verdict"], frame["epoch"], frame["last_seq"])

    def _on_snapshot(self, text: str) -> None:
        frame = msgspec.json.decode(text, type=_SnapshotFrame)
        feed = self.feeds.get(frame.thread_id)
        if feed is None or feed.state is not State.WAITING:
            return
        payload = frame.payload
        snapshot = Snapshot(
            thread_id=frame.thread_id,
            thread=payload.thread,
            first_seq=payload.first_seq,
            last_seq=payload.last_seq,
            active_runs=payload.active_runs,
            partial_messages=payload.partial_messages,
        )
        feed.snapshot(snapshot, [decode_entry(raw) for raw in payload.entries], len(text))

    def _on_error(self, frame: Answer) -> None:
        number = frame.get("re")
        for feed in self.feeds.values():
            if feed.command == number and feed.state is State.JOINING:
                return self._refused(feed, frame["error"])
        if number is not None:
            return self._commands.refused(number, frame["error"])
        if (ended := self.feeds.get(frame.get("thread_id") or "")) is not None:
            return self._refused(ended, frame["error"])
        return None

    def _refused(self, feed: Feed, error: dict[str, Any]) -> None:
        exc, policy, now = from_error(0, error), self._transport.policy, self._loop.time()
        if not feed.refusals:
            feed.refused_since = now
        # A service that is away is waited for; a limit that does not give way is the caller's.
        is_patient = now - feed.refused_since < policy.total_seconds
        if isinstance(exc, Unavailable) or (isinstance(exc, TooMany) and is_patient):
            feed.state = State.IDLE
            pause = policy.pause(feed.refusals, exc.retry_after)
            feed.refusals += 1
            self._loop.call_later(pause, self._join_again, feed)
        else:
            del self.feeds[feed.thread]
            feed.end(exc)

    def _on_drain(self, frame: Answer) -> None:
        seconds = frame.get("payload", frame).get("reconnect_after_ms", 0) / 1000
        self._dialer.stay_away(seconds)
        # Where the service does not close it itself in time; by then it may be another one.
        self._loop.call_later(seconds, self.cut, self._connection)

    def _on_other(self, frame: Answer, size: int) -> None:
        if frame.get("feed") == "user":
            self._on_changed(frame, size)
            return
        feed = self.feeds.get(frame.get("thread_id") or "")
        if feed is None:
            return
        payload = frame.get("payload", {})
        if frame["type"] == "message_delta":
            feed.beside(
                MessageDelta(
                    thread_id=feed.thread,
                    run_id=frame.get("run_id"),
                    message_id=payload["message_id"],
                    offset=payload["offset"],
                    text=payload["text"],
                ),
                size,
            )
        else:
            feed.beside(Ephemeral(type=frame["type"], thread_id=feed.thread, payload=payload), size)
        self._pause_full(feed)

    def _on_changed(self, frame: Answer, size: int) -> None:
        feed = self.feeds.get(USER)
        if feed is not None:
            feed.beside(msgspec.convert(frame, ThreadChanged), size)
            self._pause_full(feed)

    def _join(self, feed: Feed) -> None:
        if feed.state is State.ENDED:
            return
        feed.state = State.IDLE
        feed.command = self._commands.number()
        text = msgspec.json.encode(
            {"id": feed.command, "type": "subscribe", **feed.target, **feed.place}
        ).decode()
        if self._post(text):
            feed.state = State.JOINING

    def _join_again(self, feed: Feed) -> None:
        if feed.state is State.IDLE and self.feeds.get(feed.thread) is feed:
            self._join(feed)

    def _leave(self, feed: Feed) -> None:
        fields = {"id": 0, "type": "unsubscribe", **feed.target}
        self._post(msgspec.json.encode(fields).decode())

    def _later(self, work: Coroutine[Any, Any, object]) -> None:
        self._closing = self._loop.create_task(work)

    def _end(self, exc: ThreadkeepError) -> None:
        self._error = exc
        self._commands.fail(exc)
        for feed in self.feeds.values():
            feed.end(exc)
        self.feeds.clear()
