"""Tools that the service has itself. Each works for one user and sees nothing of others."""

from __future__ import annotations

from typing import Any, Final

from threadkeep.agents import calculator
from threadkeep.agents.calculator import CalculationError
from threadkeep.agents.handle import Handle, ToolError
from threadkeep.domain import ids
from threadkeep.services.search import Hit, Search

CALCULATOR: Final = "calculator"
SEARCH_THREADS: Final = "search_threads"

HITS: Final = 20
"""Messages that one search brings."""
QUERY_LENGTH: Final = 1000
"""Characters of a question that are searched for."""
_EXCERPT: Final = 200
"""Characters of a found message that the log shows."""


async def calculate(handle: Handle, expression: str) -> str:
    """The value of an expression, as people write numbers."""
    value = ""

    async def work() -> object:
        nonlocal value
        try:
            value = calculator.shown(calculator.calculate(expression))
        except CalculationError as exc:
            raise ToolError(f"This cannot be calculated: {exc}.") from exc
        return {"value": value}

    await handle.use_tool(CALCULATOR, {"expression": expression}, work)
    return value


async def search_threads(handle: Handle, search: Search, text: str) -> list[Hit]:
    """Messages of the run's owner, best first."""
    hits: list[Hit] = []
    query = text[:QUERY_LENGTH]

    async def work() -> object:
        found = await search.messages(handle.principal, query, limit=HITS)
        hits.extend(found.items)
        return {"messages": [_shown(hit) for hit in hits]}

    await handle.use_tool(SEARCH_THREADS, {"query": query, "limit": HITS}, work)
    return hits


def _shown(hit: Hit) -> dict[str, Any]:
    return {
        "thread_id": ids.to_public(ids.THREAD, hit.thread),
        "message_id": ids.to_public(ids.MESSAGE, hit.id),
        "seq": hit.seq,
        "role": hit.role,
        "excerpt": hit.text[:_EXCERPT],
        "score": hit.score,
    }
