"""Many appends over one socket: up to so many on their way at once, no round trip in between."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import msgspec

from threadkeep.client.commands import Answer
from threadkeep.client.messages import MessageLike, message_of
from threadkeep.client.sockets import Socket
from threadkeep.client.transport import new_key


class Sent(msgspec.Struct):
    """Where a message stands in the log."""

    seq: int
    message_id: str


class Window:
    """Appends messages of the user to one thread, in the order of the calls of `send`.

    Every message has an idempotency key and is repeated after a break until it is acknowledged or
    out of time. Only a message that was refused for a moment may come after a later one.
    """

    def __init__(self, socket: Socket, thread: str, size: int) -> None:
        if size < 1:
            raise ValueError("A window holds at least one message.")
        self._socket = socket
        self._thread = thread
        self._room = asyncio.Semaphore(size)
        self._open: set[asyncio.Future[Answer]] = set()
        self._failure: BaseException | None = None

    async def send(
        self, message: MessageLike, *, key: str | None = None, run: str | None = None
    ) -> asyncio.Future[Answer]:
        """Send a message as soon as the window has room.

        The future gets the service's answer, with `seq` and `message_id`. A failure that nobody
        looked at is raised by `flush`. What is too large, or the end of the socket, is raised here.
        """
        await self._room.acquire()
        try:
            future = self._socket.command(
                append_command(self._thread, message, key=key, run=run), is_repeatable=True
            )
        except BaseException:
            self._room.release()
            raise
        self._open.add(future)
        future.add_done_callback(self._done)
        return future

    async def append(
        self, message: MessageLike, *, key: str | None = None, run: str | None = None
    ) -> Sent:
        """Send a message and wait until it is committed."""
        return msgspec.convert(await (await self.send(message, key=key, run=run)), Sent)

    async def flush(self) -> None:
        """Wait until everything is acknowledged; raises the first failure since the last time."""
        if self._open:
            await asyncio.wait(self._open)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            await self.flush()

    def _done(self, future: asyncio.Future[Answer]) -> None:
        self._open.discard(future)
        self._room.release()
        if not future.cancelled() and self._failure is None:
            self._failure = future.exception()


def append_command(
    thread: str, message: MessageLike, *, key: str | None, run: str | None
) -> dict[str, Any]:
    """The command that appends one message."""
    command: dict[str, Any] = {
        "type": "user_message",
        "thread_id": thread,
        "idempotency_key": key or new_key(),
        **message_of(message),
    }
    if run is not None:
        command["run"] = run
    return command
