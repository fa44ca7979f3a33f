"""Pages of what is listed by id: keyset windows over ids, which rise with time."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from threadkeep.domain.limits import PAGE_ITEMS
from threadkeep.domain.listing import Listing
from threadkeep.errors import InvalidRequest
from threadkeep.storage.pages import Window

Item = TypeVar("Item")

_CURSOR: Final = re.compile(r"id-([0-9a-f]{32})\Z")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted: the first, the one after a cursor, or the one before one."""

    limit: int = 50
    after: str | None = None
    before: str | None = None


async def listing(
    page: PageRequest,
    fetch: Callable[[Window], Awaitable[list[Item]]],
    id_of: Callable[[Item], str],
) -> Listing[Item]:
    """The page that `fetch` finds; `InvalidRequest` for a cursor that is not one of ours."""
    if not 1 <= page.limit <= PAGE_ITEMS:
        raise InvalidRequest(f"A page has 1 to {PAGE_ITEMS} items.", field="limit")
    after, before = _id(page.after, "after"), _id(page.before, "before")
    if after and before:
        raise InvalidRequest("Either after or before can be given.", field="before")
    # One more than asked for tells whether there is more.
    items = await fetch(Window(page.limit + 1, after, before))
    has_more = len(items) > page.limit
    items = items[-page.limit :] if before else items[: page.limit]
    has_next, has_previous = (bool(items), has_more) if before else (has_more, after is not None)
    return Listing(
        items=items,
        has_more=has_more,
        next=f"id-{id_of(items[-1])}" if has_next and items else None,
        previous=f"id-{id_of(items[0])}" if has_previous and items else None,
    )


def _id(cursor: str | None, field: str) -> str | None:
    if cursor is None:
        return None
    match = _CURSOR.match(cursor)
    if match is None:
        raise InvalidRequest("This is not a cursor of this list.", field=field)
    return match[1]
