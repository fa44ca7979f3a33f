"""Whoever chose a wrong word is told which there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from threadkeep.domain.messages import Message
from threadkeep.errors import InvalidRequest
from threadkeep.web import bodies
from threadkeep.web.choices import choices
from threadkeep.web.schemas.system import ReadyQuery

PARTS = "data, file_ref, image_ref, text"


@pytest.mark.parametrize(
    ("message", "field", "allowed"),
    [
        ({"content": "x", "role": "boss"}, "role", "assistant, system, tool, user"),
        ({"content": [{"type": "text", "text": "x"}, {"type": "img"}]}, "content[1].type", PARTS),
        ({"content": [{"type": 7}]}, "content[0].type", ""),
        ({"content": ["x"]}, "content[0]", ""),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    message: dict[str, Any], field: str, allowed: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bodies.decode(json.dumps(message), Message)

    assert refused.value.field == field
    assert refused.value.message.partition("; allowed: ")[2].rstrip(".") == allowed


def test_where_any_text_may_stand_there_is_no_choice() -> None:
    assert choices(Message, "name") == []
    assert choices(Message, "nowhere[3].at.all") == []
    assert choices(ReadyQuery, "exclude") == ["database"]


@pytest.mark.parametrize(("given", "said"), [({"exclude": "x"}, "allowed: database.")])
def test_a_query_is_answered_the_same_way(given: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bodies.convert(given, ReadyQuery)

    assert refused.value.message.endswith(said)
