"""How much text a run may stream before its messages are finished."""

from __future__ import annotations

import pytest

from tests.support.postgres import Database, one_value
from threadkeep.domain import ids
from threadkeep.domain.limits import STREAMING_BYTES, TEXT_BYTES
from threadkeep.errors import TooLarge

from .desks import office_on
from .libraries import library_on
from .test_holders import delta, held, message, pieces, thought, write

HALF = TEXT_BYTES // 2
WHOLE = STREAMING_BYTES // TEXT_BYTES
"""Messages of full size that may be unfinished at once."""


@pytest.mark.parametrize(
    ("kept", "more"),
    [
        (["a" * HALF, "a" * HALF], "a"),
        # Bytes of UTF-8 count: these are a half and a quarter as many characters.
        (["ü" * (HALF // 2), "ü" * (HALF // 2)], "a"),
        (["🐘" * (HALF // 4), "a" * (HALF - 3)], "🐘"),
    ],
)
async def test_text_that_no_message_could_hold_is_refused(
    database: Database, kept: list[str], more: str
) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()
        await write(office, claimed, *(delta(said, text) for text in kept))
        before = await office.log(claimed.run.thread)

        with pytest.raises(TooLarge):
            await write(office, claimed, thought(), delta(said, more))

        assert await pieces(office, claimed) == len(kept)
        assert office.desks[0].pieces[-1][2] == kept[-1]
        assert await office.log(claimed.run.thread) == before
        # What is kept already may be repeated, and the run goes on.
        await write(office, claimed, delta(said, kept[0], offset=0))
        await write(office, claimed, message(said, "".join(kept)))
        await office.runs.complete(office.tenant, claimed.run.id, claimed.fence)
        await office.check(claimed.run.thread)


async def test_the_pieces_of_one_request_are_added_up(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = ids.new_id()

        with pytest.raises(TooLarge):
            await write(office, claimed, *[delta(said, "a" * HALF)] * 3)

        assert await pieces(office, claimed) == 0
        assert office.desks[0].pieces == []


async def test_unfinished_messages_of_a_run_are_bounded_together(database: Database) -> None:
    async with office_on(database) as office:
        claimed = await held(office)
        said = [ids.new_id() for _ in range(WHOLE + 1)]
        await write(office, claimed, *(delta(one, "a" * TEXT_BYTES) for one in said[:WHOLE]))

        with pytest.raises(TooLarge):
            await write(office, claimed, delta(said[WHOLE], "a"))
        assert await pieces(office, claimed) == WHOLE

        # A finished message makes room, and another run has its own.
        await write(office, claimed, message(said[0], "done"), delta(said[WHOLE], "a"))
        other = await held(office)
        await write(office, other, delta(ids.new_id(), "a" * TEXT_BYTES))
        await office.runs.complete(office.tenant, claimed.run.id, claimed.fence)
        assert await pieces(office, claimed) == 0
        await office.check(claimed.run.thread)


async def test_a_script_that_says_too_much_fails_and_leaves_no_text(database: Database) -> None:
    async with library_on(database) as library:
        steps = [{"say": {"text": "ü" * 40_000, "piece": 4096}}]
        await library.office.agent("loud", "scripted", steps=steps)
        thread = await library.office.thread()
        run = (await library.office.start(thread, agent="loud")).run.id

        log = await library.ended(thread, run)
        query = "SELECT count(*) FROM partials WHERE run_id = $1"
        streamed = "".join(text for _, _, text in library.office.desks[0].pieces)
        assert log[-1][1]["status"] == "failed"
        assert f"{TEXT_BYTES} are allowed" in log[-1][1]["error"]
        assert 0 < len(streamed.encode()) <= TEXT_BYTES
        assert not await one_value(library.office.given.superuser_url, query, run)
