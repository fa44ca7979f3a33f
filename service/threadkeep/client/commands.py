"""Commands on their way over a socket: numbered, repeated after a break, ended in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from threadkeep.client.errors import (
    ApiError,
    ThreadkeepError,
    TooMany,
    Unavailable,
    Unreachable,
    from_error,
)
from threadkeep.client.retries import RetryPolicy

_TICK: Final = 0.25
"""Seconds between two looks for commands that are out of time; one timer serves them all."""

FRAME_BYTES: Final = 256 * 1024
"""Largest frame that the service takes."""

Answer = dict[str, Any]


class Command:
    """One command and who waits for its answer."""

    __slots__ = ("attempt", "deadline", "future", "is_repeatable", "is_sent", "text")

    def __init__(
        self,
        text: str,
        future: asyncio.Future[Answer],
        *,
        deadline: float,
        is_repeatable: bool,
    ) -> None:
        self.text = text
        self.future = future
        self.deadline = deadline
        self.is_repeatable = is_repeatable
        self.is_sent = False
        self.attempt = 0


class Commands:
    """The commands of one socket that are not answered yet, in the order they were given."""

    def __init__(self, policy: RetryPolicy, post: Callable[[str], bool]) -> None:
        self._policy = policy
        self._post = post
        """Sends a frame; False while there is no connection."""
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, Command] = {}
        self._last = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def number(self) -> int:
        """The number of a new command."""
        self._last += 1
        return self._last

    def submit(self, fields: dict[str, Any], *, is_repeatable: bool) -> asyncio.Future[Answer]:
        """Send a command, now or when there is a connection; the future gets its answer.

        Raises `TooLarge` for a command that no service takes.
        """
        number = self.number()
        frame = msgspec.json.encode({"id": number, **fields})
        if len(frame) > FRAME_BYTES:
            # The service could not tell which command it was that it had to skip.
            raise from_error(0, {"code": "too_large", "message": "The command is too large."})
        command = Command(
            frame.decode(),
            self._loop.create_future(),
            deadline=self._loop.time() + self._policy.total_seconds,
            is_repeatable=is_repeatable,
        )
        self._waiting[number] = command
        command.is_sent = self._post(command.text)
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK, self._expire)
        return command.future

    def answered(self, number: int, answer: Answer) -> None:
        """The service has carried a command out."""
        command = self._waiting.pop(number, None)
        if command is not None and not command.future.done():
            command.future.set_result(answer)

    def refused(self, number: int, error: dict[str, Any]) -> None:
        """The service has refused a command: it is sent again where that may help."""
        command = self._waiting.get(number)
        if command is None:
            return
        exc = from_error(0, error)
        pause = self._policy.pause(command.attempt, exc.retry_after)
        if self._may_repeat(command, exc) and self._loop.time() + pause < command.deadline:
            command.attempt += 1
            command.is_sent = False
            self._loop.call_later(pause, self._again, number)
        else:
            self._fail(number, exc)

    def disconnected(self) -> None:
        """What was sent and cannot be repeated may or may not have been carried out."""
        for number, command in list(self._waiting.items()):
            if command.is_sent and not command.is_repeatable:
                exc = Unreachable("The connection was lost.", outcome_unknown=True)
                self._fail(number, exc)
            command.is_sent = False

    def connected(self) -> None:
        """Send everything that waits, in order."""
        for command in self._waiting.values():
            command.is_sent = self._post(command.text)

    def fail(self, exc: ThreadkeepError) -> None:
        """Nothing will be answered any more."""
        for number in list(self._waiting):
            self._fail(number, exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_repeat(self, command: Command, exc: ApiError) -> bool:
        if isinstance(exc, Unavailable):
            return command.is_repeatable or not exc.outcome_unknown
        return isinstance(exc, TooMany)

    def _again(self, number: int) -> None:
        command = self._waiting.get(number)
        if command is not None and not command.is_sent:
            command.is_sent = self._post(command.text)

    def _fail(self, number: int, exc: ThreadkeepError) -> None:
        command = self._waiting.pop(number)
        if not command.future.done():
            command.future.set_exception(exc)
            # Whoever does not look at the future must not find a warning instead.
            command.future.exception()

    def _expire(self) -> None:
        now = self._loop.time()
        for number, command in list(self._waiting.items()):
            if command.future.done():
                del self._waiting[number]
            elif command.deadline <= now:
                exc = Unreachable("No answer within the time limit.", outcome_unknown=True)
                self._fail(number, exc)
        again = bool(self._waiting)
        self._timer = self._loop.call_later(_TICK, self._expire) if again else None
