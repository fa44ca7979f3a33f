"""An office whose runs are played by agents of the process, and what those read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from tests.support.postgres import Database
from tests.support.waiting import until
from threadkeep.agents.runner import Runner
from threadkeep.domain import events
from threadkeep.domain.messages import Message
from threadkeep.domain.runs import LeaseTimes
from threadkeep.services.messages import Messages
from threadkeep.services.projector import Projector
from threadkeep.services.rates import Rates
from threadkeep.services.search import Search
from threadkeep.settings import load
from threadkeep.storage.appender import Appender

from .desks import Office, office_on


class Library:
    """An office with runners and what they read."""

    def __init__(self, office: Office, messages: Messages, runners: Sequence[Runner]) -> None:
        self.office = office
        self.messages = messages
        self.runners = runners

    async def remember(self, *texts: str, owner: str = "ann") -> str:
        """A thread in which user and assistant take turns, findable when this returns."""
        office = self.office
        thread = await office.thread(owner)
        roles = ("user", "assistant")
        batch = [Message(content=text, role=roles[n % 2]) for n, text in enumerate(texts)]  # type: ignore[arg-type]  # one of the two
        principal = replace(office.principal, owner=owner)
        await self.messages.append(principal, thread, batch, None)
        await self.index(thread)
        return thread

    async def index(self, thread: str) -> None:
        """Let the search know what a thread holds."""
        office = self.office
        projector = Projector(office.desks[0].database)
        projector.mark(office.tenant, thread)
        await projector.aclose()
        await projector.drain()

    async def ask(self, text: str, agent: str = "librarian") -> Sequence[tuple[str, Any]]:
        """The log of a run about this, on a thread of its own."""
        thread = await self.office.thread()
        run = (await self.office.start(thread, text, agent=agent)).run.id
        return await self.ended(thread, run)

    async def shorten(self, run: str) -> None:
        """The run's next holder does not wait where its script does; the present one goes on."""
        await self.office.execute(
            "UPDATE runs SET settings = replace(settings::text, '60000', '1')::jsonb WHERE id = $1",
            run,
        )

    async def ended(self, thread: str, run: str) -> Sequence[tuple[str, Any]]:
        """The run's log once it has ended."""
        await until(lambda: self.is_over(run), 15)
        await self.office.check(thread)
        return await self.office.log(thread, run)

    async def is_over(self, run: str) -> bool:
        """Whether the run has ended."""
        return (await self.office.run(run)).status in events.TERMINAL


@asynccontextmanager
async def library_on(
    given: Database, *, processes: int = 1, times: LeaseTimes | None = None, first: int = 0
) -> AsyncIterator[Library]:
    """Runners on every desk; only the `first` is started."""
    async with office_on(given, processes=processes, times=times) as office:
        settings = load(given.service_environment())
        database = office.desks[0].database
        appender = Appender(database, settings, lambda _: None)
        appender.start()
        messages = Messages(database, appender, Rates(settings))
        runners = [
            Runner(desk.runs, messages, Search(desk.database), name=f"runner-{n}")
            for n, desk in enumerate(office.desks)
        ]
        await office.agent("librarian", "librarian")
        runners[first].start()
        try:
            yield Library(office, messages, runners)
        finally:
            for runner in runners:
                await runner.aclose(0)
            await appender.aclose()
