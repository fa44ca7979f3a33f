"""Broken search: words that do not say whose they are."""

from __future__ import annotations

from threadkeep.domain import words

from . import breaks, put


@breaks("words-of-nobody")
def words_of_nobody() -> None:
    """All owners' words are alike, so that only the database keeps them apart."""
    put(words, "mark_of", lambda _tenant, _owner: "")
