"""Every route that names something by an id, as the service itself describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..callers import Caller

_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """A method on a path with ids in it, and a body that it takes."""

    method: str
    path: str
    body: Any
    is_platforms: bool
    """Whether the platform key alone opens it."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the ids in its path."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def name(self) -> str:
        """As the audit calls it."""
        return f"{self.method} {self.path}"

    def options(self, ids: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
        """Method, path and options of a request with these ids."""
        path = _PARAMETER.sub(lambda match: ids[match[1]], self.path)
        return self.method, path, {} if self.body is None else {"json": self.body}


FILES = frozenset({"file"})
"""Parameters that name a file of the service itself: the same for everybody."""


async def routes_with_ids(caller: Caller) -> list[Route]:
    """All of them."""
    document = await caller.ask("GET", "/openapi.json", 200)
    return [
        Route(
            method.upper(),
            path,
            _body(operation, document),
            is_platforms=operation["security"] == [{"platform_key": []}],
        )
        for path, operations in document["paths"].items()
        if set(_PARAMETER.findall(path)) - FILES
        for method, operation in operations.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def _body(operation: dict[str, Any], document: dict[str, Any]) -> Any:
    """The example of a body in the document; none for a route that takes none."""
    body = operation.get("requestBody")
    if body is None:
        return None
    content = body["content"]["application/json"]
    for place in (content, _resolved(content.get("schema", {}), document)):
        if "example" in place:
            return place["example"]
        if examples := place.get("examples"):
            first = examples[0] if isinstance(examples, list) else next(iter(examples.values()))
            return first.get("value", first)
    raise AssertionError(f"{operation.get('operationId')}: a body without an example")


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    result: dict[str, Any] = found
    return result
