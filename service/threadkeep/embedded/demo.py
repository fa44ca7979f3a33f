"""The import of the demo's conversations: through the public API, and only once.

Threads have external ids and appends have keys made from the corpus, so an import that was cut
short goes on where it was, and a second one changes nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from threadkeep.client import Threadkeep
from threadkeep.embedded import corpus
from threadkeep.embedded.corpus import Topic
from threadkeep.embedded.workspace import Workspace

_CONCURRENCY: Final = 8
"""Topics at once; more would only wait for the same two append lanes."""
_CHUNK: Final = 100
_SHOW_SECONDS: Final = 0.2


async def import_dialogues(
    work: Workspace, url: str, users: Mapping[str, str], languages: Sequence[str]
) -> None:
    """Bring these languages into the log, spread over the users; shows progress on stderr."""
    release = corpus.release()
    missing = [name for name in languages if f"{release}/{name}" not in work.state.imported]
    if not missing:
        return
    topics = await asyncio.to_thread(_read, missing)
    progress = _Progress(topics)
    queue = list(enumerate(topics))[::-1]
    clients = [Threadkeep(url, token=token) for token in users.values()]
    try:
        for client in clients:
            await client.__aenter__()
        await asyncio.gather(*(_import_all(queue, clients, progress) for _ in range(_CONCURRENCY)))
    finally:
        for client in clients:
            await client.aclose()
    work.state.imported = sorted({*work.state.imported, *(f"{release}/{n}" for n in missing)})
    work.save()
    progress.finish(len(missing))


def _read(languages: Sequence[str]) -> list[Topic]:
    # Lists begin with what was active last; the console, which is in English, ends with English.
    ordered = sorted(languages, key=lambda language: (language == "english", language))
    return [topic for language in ordered for topic in corpus.read(language)]


async def _import_all(
    queue: list[tuple[int, Topic]], clients: Sequence[Threadkeep], progress: _Progress
) -> None:
    while queue:
        number, topic = queue.pop()
        await _import(topic, clients[number % len(clients)], progress)


async def _import(topic: Topic, client: Threadkeep, progress: _Progress) -> None:
    thread = await client.threads.create(
        external_id=topic.external_id,
        title=topic.title,
        metadata={
            "source": corpus.release(),
            "language": topic.language,
            "topic": topic.name,
        },
    )
    for number, chunk in enumerate(topic.chunks(_CHUNK)):
        await client.append(thread, *chunk, key=f"{topic.external_id}/{number}")
        progress.add(len(chunk))


class _Progress:
    """One line on standard error: rewritten on a terminal, a few of them elsewhere."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._threads = len(topics)
        self._total = sum(topic.messages for topic in topics)
        self._done = 0
        self._begun = self._shown_at = time.monotonic()
        self._next_quarter = 0
        self._is_terminal = sys.stderr.isatty()

    def add(self, messages: int) -> None:
        """So many more are in the log."""
        self._done += messages
        if self._is_terminal:
            if time.monotonic() - self._shown_at > _SHOW_SECONDS:
                self._show("\r", "")
        elif self._done * 4 >= self._next_quarter * self._total:
            self._show("", "\n")
            self._next_quarter = self._done * 4 // self._total + 1

    def finish(self, languages: int) -> None:
        """Everything is in the log."""
        seconds = time.monotonic() - self._begun
        sys.stderr.write(
            f"{chr(13) if self._is_terminal else ''}Imported {self._done:,} messages of real "
            f"dialogues in {self._threads} threads and {languages} languages"
            f" ({corpus.release()}, {seconds:.1f} s).\n"
        )
        sys.stderr.flush()

    def _show(self, before: str, after: str) -> None:
        self._shown_at = time.monotonic()
        sys.stderr.write(
            f"{before}Importing dialogues: {self._done:,} of {self._total:,} messages{after}"
        )
        sys.stderr.flush()
