"""Dialogues in many languages, from the package chatterbot-corpus."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

LANGUAGES = ("english", "german", "chinese", "russian", "japanese", "korean", "hindi", "hebrew")


@lru_cache
def sentences(language: str, most: int = 400) -> tuple[str, ...]:
    """Different turns of conversations in one language, in the order of the package."""
    found: dict[str, None] = {}
    folder = files("chatterbot_corpus") / "data" / language
    for file in sorted(folder.iterdir(), key=lambda path: path.name):
        if file.name.endswith(".yml"):
            topic = yaml.safe_load(file.read_text(encoding="utf-8"))
            for turns in topic["conversations"]:
                found.update((str(turn), None) for turn in turns)
    kept = tuple(text for text in found if 0 < len(text) < 2000)[:most]
    assert len(kept) > 10, f"{language} has only {len(kept)} sentences"
    return kept
