"""Which words a caller could have chosen, for the error that refuses another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from msgspec import inspect

_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")
"""A part of a path such as `messages[0].role`."""


def choices(shape: Any, place: str) -> list[str]:
    """The words that may stand at `place` of a value of this shape; none where any text may."""
    types = list(_plain(_info(shape)))
    for step in _STEP.findall(place):
        types = [
            plain for each in types for inner in _inside(each, step) for plain in _plain(inner)
        ]
    return sorted(
        {
            str(word)
            for each in types
            if isinstance(each, inspect.LiteralType)
            for word in each.values
        }
    )


@cache
def _info(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


def _plain(given: inspect.Type) -> Iterator[inspect.Type]:
    """The members of a union, without what only annotates them."""
    if isinstance(given, inspect.UnionType):
        for each in given.types:
            yield from _plain(each)
    elif isinstance(given, inspect.Metadata):
        yield from _plain(given.type)
    else:
        yield given


def _inside(outer: inspect.Type, step: str) -> Iterator[inspect.Type]:
    """What a list or an object holds at one step of a path."""
    if isinstance(outer, inspect.ListType) and step.startswith("["):
        yield outer.item_type
    elif isinstance(outer, inspect.StructType):
        if outer.tag_field == step and outer.tag is not None:
            yield inspect.LiteralType((outer.tag,))
        for each in outer.fields:
            if each.encode_name == step:
                yield each.type
