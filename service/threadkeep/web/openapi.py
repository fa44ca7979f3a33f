"""The OpenAPI 3.1 document, made from the table of routes and the Structs that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from threadkeep import __version__, errors
from threadkeep.domain import ids
from threadkeep.errors import ThreadkeepError
from threadkeep.web.errors import MALFORMED, MethodNotAllowed, status_of
from threadkeep.web.examples import EXAMPLES
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas.common import ErrorAnswer

_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"{(\w+)}")
_PREFIXES: Final = {
    "thread_id": ids.THREAD,
    "run_id": ids.RUN,
    "tenant_id": ids.TENANT,
    "agent_id": ids.AGENT,
    "key_id": ids.KEY,
    "issuer_id": ids.ISSUER,
}
_SECURITY: Final[dict[Access, list[dict[str, list[str]]]]] = {
    Access.PUBLIC: [],
    Access.USER: [{"user_token": []}, {"api_key": []}],
    Access.TENANT: [{"api_key": []}],
    Access.CONFIGURE: [{"platform_key": []}, {"api_key": []}],
    Access.PLATFORM: [{"platform_key": []}],
    Access.STATUS: [{"platform_key": []}, {"user_token": []}, {"api_key": []}],
    Access.SOCKET: [{"user_token": []}, {"api_key": []}, {"ticket": []}],
}
_SCHEMES: Final = {
    "api_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "`tk_<id>_<secret>`; acts for a user by the header `Threadkeep-User`.",
    },
    "user_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Signed by an issuer that the tenant has registered.",
    },
    "platform_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "Creates and configures tenants; never reads conversations.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Made by `POST /v1/tickets`; opens one WebSocket once.",
    },
}
_HEADERS: Final = {
    "Threadkeep-User": "The user for whom an API key acts; required with an API key.",
    "Idempotency-Key": "1 to 255 characters. A repeat returns the first answer, for the life of"
    " the thread.",
    "If-Match": "The version that the change is based on; a stale one is refused with 412.",
    "Last-Event-ID": "The cursor after which to go on.",
}
_DESCRIPTION: Final = (
    "Durable conversation threads for many tenants. Times are RFC 3339 in UTC with microseconds."
)


def document(table: Sequence[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Threadkeep",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": _components(table), "securitySchemes": _SCHEMES},
    }


def errors_of(route: Route) -> list[ThreadkeepError]:
    """Every error that a route may answer: those of its own and those that follow."""
    found: list[ThreadkeepError] = [kind() for kind in route.errors]
    if route.access is not Access.PUBLIC:
        found += [errors.NotAuthenticated(), errors.TooMany(), errors.Unavailable()]
    if route.access not in (Access.PUBLIC, Access.PLATFORM):  # there a key is right or none
        found += [errors.Forbidden()]
    if route.body is not None:
        found += [errors.InvalidRequest(malformed=True), errors.InvalidRequest()]
        found += [errors.TooLarge()]
    if route.access is Access.SOCKET:  # a request that asks for no upgrade
        found.append(errors.InvalidRequest(malformed=True))
    if route.query is not None or route.access in (Access.USER, Access.SOCKET):
        found.append(errors.InvalidRequest())
    if _PARAMETER.search(route.path):
        found.append(errors.NotFound())
    found.append(ThreadkeepError())
    return found


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "security": _SECURITY[route.access],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": _responses(route),
    }
    if route.scope is not None:
        operation["description"] = f"Needs the scope `{route.scope}`."
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {route.body_type: _content(route.body)},
        }
    return operation


def operation_id(route: Route) -> str:
    """The name of the handler: unique, and what generated clients call it."""
    return route.handler.__name__


def _content(shape: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([shape], ref_template=_REFERENCE)
    content: dict[str, Any] = {"schema": schema}
    if shape in EXAMPLES:
        content["example"] = EXAMPLES[shape]
    return content


def _responses(route: Route) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, shape in sorted(route.answers.items()):
        answers[str(status)] = {"description": "Done." if status < 400 else "Not now."}
        if shape is not None:
            content = {"schema": {"type": "string"}} if shape is str else _content(shape)
            answers[str(status)]["content"] = {route.answer_type: content}
    by_status: dict[int, set[str]] = {}
    for error in errors_of(route):
        by_status.setdefault(status_of(error), set()).add(error.code)
    for status, codes in sorted(by_status.items()):
        answers.setdefault(
            str(status),
            {
                "description": " or ".join(f"`{code}`" for code in sorted(codes)),
                "content": {"application/json": _content(ErrorAnswer)},
            },
        )
    return answers


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(route.path):
        schema: dict[str, Any] = {"type": "string"}
        if name in _PREFIXES:
            prefix = _PREFIXES[name]
            schema |= {
                "pattern": f"^{prefix}_[0-9a-f]{{32}}$",
                "examples": [f"{prefix}_{'0' * 32}"],
            }
        else:
            schema |= {"minLength": 1, "maxLength": 255}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    (reference,), components = msgspec.json.schema_components(
        [route.query], ref_template=_REFERENCE
    )
    schema = components[reference["$ref"].rpartition("/")[2]]
    for name, shape in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        if description := shape.pop("description", ""):
            parameter["description"] = description
        yield parameter | {"schema": shape}


def _headers(route: Route) -> Iterable[dict[str, Any]]:
    names = (("Threadkeep-User",) if route.access is Access.USER else ()) + route.headers
    for name in names:
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": _HEADERS[name],
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }


def _components(table: Sequence[Route]) -> dict[str, Any]:
    shapes = {shape for route in table for shape in route.answers.values() if shape is not None}
    shapes |= {route.body for route in table if route.body is not None} | {ErrorAnswer}
    shapes.discard(str)
    _, components = msgspec.json.schema_components(sorted(shapes, key=str), ref_template=_REFERENCE)
    return dict(sorted(components.items()))


ALWAYS: Final = (MALFORMED, status_of(MethodNotAllowed("")))
"""Statuses that any path may answer: what is no HTTP, and a method that it does not take."""
