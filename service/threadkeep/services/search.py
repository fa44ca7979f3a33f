"""Search in the caller's own messages."""

from __future__ import annotations

from typing import Final

from threadkeep.domain import limits, listing, words
from threadkeep.domain.listing import Listing
from threadkeep.domain.principals import Principal
from threadkeep.errors import InvalidRequest
from threadkeep.storage import search
from threadkeep.storage.database import Database
from threadkeep.storage.search import Hit

__all__ = ["Hit", "Search"]

QUERY_LENGTH: Final = 1024
"""Longest query, in characters."""
_HITS: Final = b"h"


class Search:
    """Use cases of the search. It follows the log by about a second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def messages(
        self, principal: Principal, q: str, *, limit: int = 20, after: str | None = None
    ) -> Listing[Hit]:
        """Own messages that hold the words of `q`, best first.

        Those with all words come first, then those with some, unless more than enough have all.
        Deleted threads and runs that were rolled back are left out.
        """
        listing.check(limit=limit, most=limits.PAGE_ITEMS, after=after, before=None)
        if not 1 <= len(q) <= QUERY_LENGTH:
            raise InvalidRequest(f"1 to {QUERY_LENGTH} characters are allowed.", field="q")
        place = listing.decode(_HITS, after, field="after") if after is not None else None
        found = words.query_of(q, words.mark_of(principal.tenant, principal.owner))
        if not found:
            return Listing([], has_more=False, next=None, previous=None)
        rows = await search.find(
            self._database,
            principal.tenant,
            principal.owner,
            found,
            after=place,
            limit=limit + 1,
        )
        page = listing.page(rows, kind=_HITS, limit=limit, after=after, before=None)
        # A ranking has one direction only.
        return Listing(page.items, page.has_more, page.next, None)
