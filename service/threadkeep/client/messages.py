"""Messages as callers write them: a text, or a mapping with `content` and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MessageLike = str | Mapping[str, Any]
"""`"Hello"`, or `{"content": …, "role": …, "metadata": …}` as the API takes it."""


def message_of(message: MessageLike) -> dict[str, Any]:
    """The message as the API takes it."""
    return {"content": message} if isinstance(message, str) else dict(message)
