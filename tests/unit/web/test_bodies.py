"""What callers send becomes a Struct or a documented error with the place of the mistake."""

from __future__ import annotations

import pytest

from threadkeep.errors import InvalidRequest
from threadkeep.web import bodies
from threadkeep.web.schemas.common import PageQuery
from threadkeep.web.schemas.threads import EntryQuery, MessagesCreate, ThreadChange, ThreadCreate


def refusal(raw: bytes, shape: type[object] = ThreadCreate) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        bodies.decode(raw, shape)
    return caught.value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{} {}",
        b'{"title": NaN}',
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b'{"title": "a" "b"}',
        b'{"metadata": ' + b"[" * 100_000,
        b'{"metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"title": "a", "title": "b"}',
        b'{"metadata": {"a": {"b": 1, "b": 2}}}',
        b"\xef\xbb\xbf{}",
        b'{"title": 1, "metadata": \xff}',
    ],
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    assert refusal(raw).malformed


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"[]", None),
        (b'{"title": 1}', "title"),
        (b'{"titel": "x"}', "titel"),
        (b'{"title": ""}', "title"),
        (b'{"metadata": []}', "metadata"),
        (b'{"title": "a\\u0000b"}', "title"),
        (b'{"metadata": {"deep": {"key\\u0000": 1}}}', "key"),
    ],
)
def test_a_wrong_shape_names_the_field(raw: bytes, field: str | None) -> None:
    exc = refusal(raw)

    assert (exc.malformed, exc.field) == (False, field)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"messages": [{"content": 1}]}', "messages[0].content"),
        (b'{"messages": [{"role": "user"}]}', "messages[0].content"),
        (b'{"messages": []}', "messages"),
        (b"{}", "messages"),
    ],
)
def test_a_nested_field_is_named_with_its_path(raw: bytes, field: str) -> None:
    assert refusal(raw, MessagesCreate).field == field


def test_an_escaped_backslash_before_u0000_is_text() -> None:
    assert bodies.decode(rb'{"title": "a\\u0000"}', ThreadCreate).title == "a\\u0000"


def test_a_patch_tells_absent_from_null() -> None:
    assert bodies.decode(b'{"title": null}', ThreadChange).title is None
    assert bodies.decode(b"{}", ThreadChange).title is not None


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([("limit", "0")], "limit"),
        ([("limit", "101")], "limit"),
        ([("limit", "ten")], "limit"),
        ([("limit", "1"), ("limit", "2")], "limit"),
        ([("offset", "1")], "offset"),
        ([("after", "")], "after"),
        ([("after", "a\0b")], "after"),
        ([("after", "\ufffd")], "after"),
    ],
)
def test_a_wrong_query_parameter_is_named(items: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        bodies.parameters(items, PageQuery)

    assert (caught.value.malformed, caught.value.field) == (False, field)


def test_query_parameters_are_converted() -> None:
    query = bodies.parameters(
        [("limit", "7"), ("backward", "true"), ("kinds", "message,agent_started")], EntryQuery
    )

    assert (query.limit, query.backward, query.kinds) == (7, True, "message,agent_started")
