from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.postgres import superuser
from threadkeep.domain import words
from threadkeep.domain.threads import ThreadPatch, ThreadQuery
from threadkeep.errors import InvalidRequest

from .dialogues import LANGUAGES, sentences
from .keeping import Keeping


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_sentence_finds_itself_in_its_language(keeping: Keeping, language: str) -> None:
    texts = sentences(language, 120)
    thread = await keeping.thread()
    for start in range(0, len(texts), 100):
        await keeping.say(thread.id, *texts[start : start + 100])
    await keeping.catch_up()

    missed = [
        text for text in texts if words.words_of(text) and text not in await keeping.found(text)
    ]

    assert missed == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Übung macht den Meister", "ubung MEISTER"),
        ("Straße und Maß", "strasse mass"),
        ("今天天气很好", "天气"),
        ("今天天气很好", "好"),
        ("Привет, как дела?", "ПРИВЕТ"),
        ("東京タワーへ行きました", "タワー"),
        ("안녕하세요 여러분", "여러분"),
        ("สวัสดีครับ", "สวัสดี"),
        ("नमस्ते दुनिया", "दुनिया"),
        ("שָׁלוֹם עולם", "שלום"),
        ("café crème", "cafe creme"),
        ("version 3.11 of x_1", "3.11"),
    ],
)
async def test_case_accents_and_spaces_do_not_matter(
    keeping: Keeping, text: str, query: str
) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "something else 完全別 другое", text)
    await keeping.catch_up()

    assert (await keeping.found(query))[0] == text


async def test_a_whole_question_finds_what_answers_it(keeping: Keeping) -> None:
    """Common words lead nowhere; the rare ones of the question decide."""
    thread = await keeping.thread()
    await keeping.say(thread.id, *sentences("english", 100))
    await keeping.say(thread.id, "My sister's dentist is called Quentin Marlowe.")
    await keeping.catch_up()

    found = await keeping.found("What did I say is the name of the dentist of my sister?")

    assert found[0] == "My sister's dentist is called Quentin Marlowe."


async def test_pages_of_a_search_hold_every_hit_once(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, *(f"needle {'hay ' * n}" for n in range(95)))
    await keeping.catch_up()

    hits, after = [], None
    while True:
        page = await keeping.search.messages(keeping.ann, "needle", limit=10, after=after)
        hits.extend(page.items)
        after = page.next
        if not page.has_more:
            break

    assert after is None
    assert sorted(hit.seq for hit in hits) == [*range(2, 97)]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_deleted_threads_are_not_found_until_they_are_back(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "needle")
    await keeping.catch_up()

    await keeping.threads.act(keeping.ann, thread.id, "delete")
    assert await keeping.found("needle") == []
    await keeping.threads.act(keeping.ann, thread.id, "undelete")
    assert await keeping.found("needle") == ["needle"]


async def test_threads_are_listed_by_words_of_title_or_messages(keeping: Keeping) -> None:
    titled = await keeping.thread(title="Garden plans")
    spoken = await keeping.thread()
    await keeping.say(spoken.id, "we talked about the garden")
    await keeping.thread(title="Something else")
    await keeping.catch_up()

    async def listed(q: str) -> set[str]:
        page = await keeping.threads.list(keeping.ann, ThreadQuery(q=q))
        return {thread.id for thread in page.items}

    assert await listed("garden") == {titled.id, spoken.id}
    assert await keeping.found("plans") == []
    await keeping.threads.patch(keeping.ann, titled.id, ThreadPatch(title="Kitchen"), if_match=None)
    await keeping.catch_up()
    assert await listed("garden") == {spoken.id}
    assert await listed("KITCHEN") == {titled.id}
    assert await listed("...") == set()


@pytest.mark.parametrize("after", ["x", "A" * 50, "é" * 50, "", "A" * 51])
async def test_a_forged_cursor_is_refused(keeping: Keeping, after: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await keeping.search.messages(keeping.ann, "a", after=after)
    assert caught.value.field == "after"


async def test_hostile_queries_are_words_like_others(keeping: Keeping) -> None:
    thread = await keeping.thread()
    await keeping.say(thread.id, "it's a \\backslash & 'quote' :* | <-> x")
    await keeping.catch_up()

    for query in ("'", "\\", "a & | !", "quote' | 'x", ":*", "<->", "\0", "x" * 1024, "é'\\" * 99):
        assert len(await keeping.found(query)) <= 1
    assert len(await keeping.found("'quote' \\backslash")) == 1


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


async def test_a_search_uses_the_index_of_words_and_row_security_would_not(
    keeping: Keeping,
) -> None:
    """The reason why the search is a definer function, seen in plans of the same query."""
    thread = await keeping.thread()
    for _ in range(30):
        await keeping.say(thread.id, *sentences("english", 100))
    await keeping.say(thread.id, "needle")
    await keeping.catch_up()
    word = words.query_of("needle", words.mark_of(thread.tenant, "ann"))[0]
    query = (
        "EXPLAIN (FORMAT JSON) SELECT * FROM search WHERE tenant_id = $1 AND owner = $2"
        " AND words @@ $3::text::tsquery LIMIT 1000"
    )
    indexes = {}
    async with superuser(keeping.given.superuser_url) as connection:
        await connection.execute("VACUUM ANALYZE search")
        for role in ("threadkeep_writer", "threadkeep_app"):
            async with connection.transaction():
                await connection.execute("SELECT set_principal($1, $2)", thread.tenant, "ann")
                await connection.execute(
                    f"SET LOCAL ROLE {role}; SET LOCAL enable_seqscan = off;"
                    " SET LOCAL enable_indexscan = off"  # as search_messages has it
                )
                raw = await connection.fetchval(query, thread.tenant, "ann", word)
            nodes = _nodes(json.loads(raw)[0]["Plan"])
            indexes[role] = [
                node["Index Name"] for node in nodes if "words @@" in node.get("Index Cond", "")
            ]

    assert indexes == {"threadkeep_writer": ["search_words"], "threadkeep_app": []}
