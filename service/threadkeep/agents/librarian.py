"""Answers from the user's own conversations, and arithmetic. No model: tools and quotations only.

A question that was answered before is answered with the message that followed it then; whatever
it says is cited. Messages that agents wrote are never quoted, so that it does not cite itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from threadkeep.agents import calculator, tools
from threadkeep.agents.handle import Handle, ToolError
from threadkeep.domain import ids, messages, words
from threadkeep.domain.entries import MESSAGE, Entry
from threadkeep.domain.messages import Message
from threadkeep.services.messages import Messages
from threadkeep.services.search import Hit, Search

_CANDIDATES: Final = 5
"""Found messages whose neighbours are read."""
_LIKENESS: Final = 0.5
"""Share of the question's words that a message must have to count as found."""
_PIECE: Final = 48
"""Characters that stream at once."""
_QUOTED: Final = 8_000
"""Longest quotation, in characters."""

NOTHING: Final = "I found nothing in your conversations that is close enough to this."
NO_QUESTION: Final = "There is no question for me in this thread."


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said and from which messages it comes."""

    text: str
    sources: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A message that is like the question, and the message after it."""

    likeness: float
    entry: Entry
    following: Entry | None


class Librarian:
    """Plays runs of agents of the kind `librarian`."""

    def __init__(self, messages_: Messages, search: Search) -> None:
        self._messages = messages_
        self._search = search

    async def play(self, handle: Handle) -> None:
        """One run, from its question to its end."""
        question = await self._question(handle)
        text = messages.text_of(_message(question).content).strip() if question else ""
        await handle.think("Reading the question.", step="read", progress=10)
        if question is None or not text:
            answer = Answer(NO_QUESTION)
        elif (expression := calculator.expression_in(text)) is not None:
            answer = await self._calculate(handle, expression)
        else:
            answer = await self._look_up(handle, question, text)
        await self._say(handle, answer)

    async def _question(self, handle: Handle) -> Entry | None:
        """The message that came with the run, or the user's last one before it."""
        run = handle.run
        if handle.claimed.message is not None:
            return handle.claimed.message
        page = await self._messages.page(
            handle.principal,
            run.thread,
            before=run.asked_seq,
            backward=True,
            kinds=[MESSAGE],
            limit=20,
        )
        asked = [entry for entry in page.entries if _message(entry).role == "user"]
        return asked[-1] if asked else None

    async def _calculate(self, handle: Handle, expression: str) -> Answer:
        try:
            value = await tools.calculate(handle, expression)
        except ToolError as exc:
            return Answer(str(exc))
        return Answer(f"{expression} = {value}")

    async def _look_up(self, handle: Handle, question: Entry, text: str) -> Answer:
        hits = await tools.search_threads(handle, self._search, text)
        wanted = words.words_of(text)
        likely = [hit for hit in hits if _may_answer(hit, question)]
        likely.sort(key=lambda hit: -_likeness(wanted, hit.text))
        await handle.think(
            f"Reading what followed the {min(len(likely), _CANDIDATES)} closest messages.",
            step="compare",
            progress=60,
        )
        found = [
            item
            for hit in likely[:_CANDIDATES]
            if _likeness(wanted, hit.text) >= _LIKENESS
            and (item := await self._read(handle, hit, wanted)) is not None
        ]
        return _answer(found)

    async def _read(self, handle: Handle, hit: Hit, wanted: set[str]) -> _Found | None:
        page = await self._messages.page(
            handle.principal, hit.thread, after=hit.seq - 1, kinds=[MESSAGE], limit=2
        )
        if not page.entries or page.entries[0].seq != hit.seq or page.entries[0].run is not None:
            return None
        entry, *rest = page.entries
        following = rest[0] if rest and rest[0].run is None else None
        return _Found(_likeness(wanted, hit.text), entry, following)

    async def _say(self, handle: Handle, answer: Answer) -> None:
        message = handle.message(
            answer.text, metadata={"citations": [_citation(entry) for entry in answer.sources]}
        )
        for start in range(0, len(answer.text), _PIECE):
            await handle.delta(handle.message_id(), answer.text[start : start + _PIECE])
        await handle.complete(
            answer.text, message=message, usage={"messages_cited": len(answer.sources)}
        )


def _may_answer(hit: Hit, question: Entry) -> bool:
    """Not the question itself, nor what was said after it in its own thread."""
    return hit.thread != question.thread or hit.seq < question.seq


def _likeness(wanted: set[str], text: str) -> float:
    """Share of the words that both have among all words of the two; 1.0 for the same words."""
    found = words.words_of(text)
    return len(wanted & found) / (len(wanted | found) or 1)


def _answer(found: Sequence[_Found]) -> Answer:
    """The reply that stands after the likeliest question; else the likeliest message itself."""
    for item in found:
        reply = _reply_in(item)
        if reply is None:
            continue
        said = _quoted(reply)
        if item.likeness < 1.0:
            said = f"The closest to your question was {_quoted(item.entry)} The reply was: {said}"
        return Answer(said, [item.entry, reply])
    for item in found:
        return Answer(f"I know no reply to this, only: {_quoted(item.entry)}", [item.entry])
    return Answer(NOTHING)


def _reply_in(item: _Found) -> Entry | None:
    """What an assistant said after a user's message; turns of other kinds answer nothing."""
    following = item.following
    if following is None or _message(item.entry).role != "user":
        return None
    return following if _message(following).role == "assistant" else None


def _quoted(entry: Entry) -> str:
    return f"“{messages.text_of(_message(entry).content)[:_QUOTED]}”"


def _citation(entry: Entry) -> dict[str, Any]:
    return {
        "thread_id": ids.to_public(ids.THREAD, entry.thread),
        "message_id": ids.to_public(ids.MESSAGE, entry.id),
        "seq": entry.seq,
    }


def _message(entry: Entry) -> Message:
    return msgspec.json.decode(entry.body, type=Message)
