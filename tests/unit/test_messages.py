"""How a message becomes an entry."""

from __future__ import annotations

import json

import msgspec

from threadkeep.domain.messages import Message, draft


def test_what_was_not_given_is_left_out() -> None:
    """Of parts as of messages; what each has by itself is always there."""
    parts = [
        {"type": "text", "text": "Look at this."},
        {"type": "image_ref", "url": "https://example.com/a.png"},
        {"type": "file_ref", "url": "https://example.com/a.pdf", "size": 7},
    ]

    body = draft(msgspec.convert({"content": parts}, Message)).body

    assert json.loads(body) == {"content": parts, "metadata": {}, "role": "user"}
