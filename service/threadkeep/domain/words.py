"""Words of a text in any language, for the search: cut the same way when stored and when asked.

Case, accents and points do not matter. Scripts that are written without spaces, and Korean, whose
words grow endings, are cut into overlapping pairs of characters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

WORD_LENGTH: Final = 48
"""Characters of a word that count; nobody tells words apart by their 49th."""
WORDS: Final = 4000
"""Different words of one text that are found: what 64 KB of prose hold."""
QUERY_WORDS: Final = 16
"""Words of one query that count, the longest ones: each costs an index scan."""

_PAIRED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han
    "\uac00-\ud7a3"  # hangul
)


def _marks() -> str:
    found = [
        chr(code)
        for code in range(0x300, 0xFFFF)
        if not 0x3400 <= code <= 0xD7FF and unicodedata.category(chr(code))[0] == "M"
    ]
    return "".join(found)


_RUNS: Final = re.compile(rf"[{_PAIRED}]+|(?:(?![{_PAIRED}])[^\W_]|[{_marks()}])+")
_ASCII: Final = re.compile(r"[a-z0-9]+")
_SPACED: Final = bytes(
    code if chr(code).isalnum() else ord(" ") for code in bytes(range(128)).lower()
).ljust(256)
"""By ASCII code: what is no letter and no digit becomes a space, letters become small."""
_IS_PAIRED: Final = re.compile(rf"[{_PAIRED}]")
_FIRST_ACCENT: Final = 10
"""Canonical combining classes below are nuktas, viramas and voicing marks: they are letters."""


def words_of(text: str) -> set[str]:
    """The different words of a text as they are stored, at most `WORDS`."""
    if text.isascii():
        # Three times as fast as a pattern, and most of what the projector computes.
        found = set(text.encode().translate(_SPACED).decode().split())
        if max(map(len, found), default=0) > WORD_LENGTH:
            found = {word[:WORD_LENGTH] for word in found}
    else:
        found = set()
        for run in _RUNS.findall(_folded(text)):
            if _IS_PAIRED.match(run):
                found.update(run[n : n + 2] for n in range(len(run)))
            else:
                found.add(run[:WORD_LENGTH])
    return found if len(found) <= WORDS else set(sorted(found)[:WORDS])


@lru_cache(maxsize=4096)
def mark_of(tenant: str, owner: str) -> str:
    """What precedes each stored word of an owner, so that an index on words alone is his own.

    Two owners with one mark see each other's words in no result: rows are compared by owner too.
    """
    return hashlib.blake2b(f"{tenant}/{owner}".encode(), digest_size=5).hexdigest()


def vector_of(text: str, mark: str) -> str:
    """The words of a text in PostgreSQL's form of a tsvector, without positions."""
    found = words_of(text)
    return f"'{mark}" + f"' '{mark}".join(found) + "'" if found else ""


def query_of(text: str, mark: str) -> list[str]:
    """The words of a query in PostgreSQL's form of a tsquery, one by one; longest first."""
    found: dict[str, int] = {}
    for run in _ASCII.findall(text.lower()) if text.isascii() else _RUNS.findall(_folded(text)):
        if not _IS_PAIRED.match(run):
            found[f"'{mark}{run[:WORD_LENGTH]}'"] = len(run)
        elif len(run) == 1:
            # Stored texts have it as the first of a pair, or alone at the end of a run.
            found[f"'{mark}{run}':*"] = 1
        else:
            found.update((f"'{mark}{run[n : n + 2]}'", 2) for n in range(len(run) - 1))
    return sorted(found, key=lambda word: (-found[word], word))[:QUERY_WORDS]


def _folded(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in spread if c.isascii() or not _is_accent(c))
    return unicodedata.normalize("NFC", kept.casefold())


@lru_cache(maxsize=4096)
def _is_accent(character: str) -> bool:
    return unicodedata.combining(character) >= _FIRST_ACCENT
