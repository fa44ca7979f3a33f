"""Words as they are stored and as they are asked for: cut alike, whichever way is the faster."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from threadkeep.domain import words

_ASCII = st.text(st.characters(max_codepoint=127), max_size=300)
_MARK = "m"


@given(_ASCII)
@example("A" * 49 + " " + "a" * 50)
@example("snake_case, kebab-case; it's 3.14\0\t\x1c\x7f")
def test_words_of_ascii_are_runs_of_letters_and_digits(text: str) -> None:
    runs = re.findall("[a-z0-9]+", text.lower())

    assert words.words_of(text) == {run[: words.WORD_LENGTH] for run in runs}


@given(_ASCII)
def test_a_text_is_cut_alike_with_and_without_other_scripts(text: str) -> None:
    cut = words.words_of(text)

    assert words.words_of(f"{text} ж") == cut | {"ж"}


@given(st.text(max_size=200))
def test_every_stored_word_is_quoted_and_marked(text: str) -> None:
    stored = words.vector_of(text, _MARK).split()

    assert set(stored) == {f"'{_MARK}{word}'" for word in words.words_of(text)}


@given(st.text(max_size=60))
def test_what_is_asked_for_is_stored(text: str) -> None:
    stored = {f"'{_MARK}{word}'" for word in words.words_of(text)}

    for word in words.query_of(text, _MARK):
        begins = word.removesuffix(":*").removesuffix("'")
        assert word in stored or any(each.startswith(begins) for each in stored)
