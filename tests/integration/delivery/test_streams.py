"""Text of a message that is still streaming: the snapshot and the deltas give exactly the text."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from threadkeep.domain import ids, messages
from threadkeep.domain.principals import Principal
from threadkeep.services.journal import event

from ...support.postgres import Database, superuser
from ...support.waiting import until
from .processes import WITHIN, Process, principal_of, process_on, thread_of

WORDS = "Grüße an alle 🌍 who read this while it is being written, one piece at a time. "


@dataclass
class Speaker:
    """Streams one message as a run does: text is kept, then published, then becomes final."""

    given: Database
    process: Process
    principal: Principal
    thread: str
    run: str = field(default_factory=ids.new_id)
    message: str = field(default_factory=ids.new_id)
    text: str = ""

    @property
    def public(self) -> str:
        """The message's id as readers see it."""
        return f"msg_{self.message}"

    async def say(self, text: str, *, keep: bool = True, tell: bool = True) -> None:
        """One more piece; `tell` only where keeping it was announced."""
        offset, self.text = len(self.text), self.text + text
        if keep:
            await self.keep(offset, text)
        if tell:
            self.tell(offset, text)

    async def keep(self, offset: int, text: str) -> None:
        """Write a piece down."""
        async with superuser(self.given.superuser_url) as connection:
            await connection.execute(
                'INSERT INTO partials (tenant_id, run_id, message_id, "offset", thread_id, owner,'
                " text) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                self.principal.tenant,
                self.run,
                self.message,
                offset,
                self.thread,
                self.principal.owner,
                text,
            )

    def tell(self, offset: int, text: str) -> None:
        """Publish a piece."""
        who = self.principal
        self.process.delivery.publish_partial(
            who.tenant, who.owner, self.thread, self.run, self.message, offset, text
        )

    async def finish(self) -> None:
        """Append the message, and forget its pieces in the same commit."""
        draft = messages.draft(messages.Message(content=self.text), run=self.run)
        final = type(draft)(self.message, draft.kind, draft.body, self.run)
        async with self.process.journal.writing(self.principal, self.thread) as writing:
            await writing.connection.execute(
                "DELETE FROM partials WHERE tenant_id = $1 AND message_id = $2",
                self.principal.tenant,
                self.message,
            )
            await writing.append(final)


@pytest.fixture
async def pair(database: Database) -> AsyncIterator[list[Process]]:
    """Two processes that wake each other."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(process_on(database)) for _ in range(2)]


@pytest.fixture
async def speaker(pair: list[Process], database: Database) -> Speaker:
    """A message that streams in the first process."""
    ann = await principal_of(database)
    return Speaker(database, pair[0], ann, await thread_of(database, ann))


async def test_joining_while_it_streams_shows_exactly_the_text(
    pair: list[Process], speaker: Speaker
) -> None:
    """Readers of both processes join at every moment; each shows a prefix, and then all of it."""
    dice = random.Random(3)
    sinks = []
    for _ in range(25):
        sinks.append(await dice.choice(pair).subscribe(speaker.principal, speaker.thread))
        await speaker.say("".join(dice.sample(WORDS, 9)))
    for sink in sinks:
        await sink.says(speaker.public, speaker.text)

    await speaker.finish()
    for sink in sinks:
        await sink.reaches(1)
        last = sink.told[-1][1]
        assert last.seq == 1, "nothing of the message follows its final entry"
    late = await pair[0].subscribe(speaker.principal, speaker.thread)
    speaker.tell(len(speaker.text), "too late")
    assert sinks[0].told[-1][1].seq == 1
    assert late.frames == [], "not even for one who came after it"


async def test_text_that_was_told_before_it_was_kept_leaves_no_hole(
    pair: list[Process], speaker: Speaker
) -> None:
    """A reader joins between the telling and the keeping: the piece is in no snapshot."""
    await speaker.say("kept, ")
    await speaker.say("told early, ", keep=False)
    sink = await pair[0].subscribe(speaker.principal, speaker.thread)
    await speaker.say("told live, ", keep=False)

    assert sink.texts == {speaker.public: "kept, "}
    await speaker.keep(len("kept, "), "told early, ")
    await until(lambda: sink.texts == {speaker.public: speaker.text}, WITHIN)
    await speaker.say("and on.", keep=False)
    assert sink.texts == {speaker.public: speaker.text}, "from now on without delay"


async def test_a_repeat_says_nothing_and_a_new_beginning_takes_text_back(
    pair: list[Process], speaker: Speaker
) -> None:
    sink = await pair[0].subscribe(speaker.principal, speaker.thread)
    await speaker.say("one two three", keep=False)
    before = len(sink.frames)
    speaker.tell(4, "two")
    assert len(sink.frames) == before

    speaker.tell(0, "ONE")
    assert sink.texts == {speaker.public: "ONE"}


async def test_a_new_holder_begins_the_message_again(pair: list[Process], speaker: Speaker) -> None:
    here, there = pair
    sinks = [await each.subscribe(speaker.principal, speaker.thread) for each in pair]
    await speaker.say("an attempt that dies")
    async with here.journal.writing(speaker.principal, speaker.thread) as writing:
        await writing.connection.execute("DELETE FROM partials WHERE run_id = $1", speaker.run)
        await writing.append(event("agent_resumed", {"attempt": 2}, run=speaker.run))
    speaker.text = ""
    await speaker.say("another one")
    for sink in sinks:
        await sink.says(speaker.public, "another one")

    assert there.delivery.counts.sink_failures == 0


async def test_a_resumed_reader_gets_the_text_so_far(pair: list[Process], speaker: Speaker) -> None:
    """On a valid cursor there is no snapshot: the text so far is the first delta."""
    await speaker.say("some text")
    sinks = [await each.subscribe(speaker.principal, speaker.thread, after_seq=0) for each in pair]

    for sink in sinks:
        assert sink.joined[0].entries is None
        assert sink.texts == {speaker.public: "some text"}


async def test_text_comes_without_any_wakeup(speaker: Speaker, database: Database) -> None:
    async with process_on(database, THREADKEEP_WAKEUPS="none") as deaf:
        sink = await deaf.subscribe(speaker.principal, speaker.thread)
        await speaker.say("unheard")
        await until(lambda: sink.texts == {speaker.public: "unheard"}, WITHIN)


async def test_typing_reaches_the_users_other_connections_only(
    pair: list[Process], speaker: Speaker
) -> None:
    ann, thread = speaker.principal, speaker.thread
    own = await pair[0].subscribe(ann, thread)
    other = await pair[0].subscribe(ann, thread)
    remote = await pair[1].subscribe(ann, thread)
    bob = Principal(tenant=ann.tenant, owner="bob", actor="test")
    pair[0].delivery.typing(bob, thread)
    assert other.frames == []

    pair[0].delivery.typing(ann, thread, but=own)
    await until(lambda: remote.of_type("typing"), WITHIN)
    assert other.of_type("typing")[0]["payload"] == {"user_id": ann.owner}
    assert own.frames == []
    await asyncio.sleep(0)
    assert len(remote.frames) == 1
