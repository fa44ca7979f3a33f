"""The description of the API and the served routes cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from threadkeep.web.examples import EXAMPLES
from threadkeep.web.openapi import document, operation_id
from threadkeep.web.route import Access, Route
from threadkeep.web.routes import TABLE, add_routes

DOCUMENT = document(TABLE)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_what_is_served_is_what_is_described() -> None:
    app = web.Application()
    add_routes(app)
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    described = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }

    heads = {(method, path) for method, path in served if method == "HEAD"}
    assert served - heads == described
    assert {("GET", path) for _, path in heads} < described
    assert len(described) == len(TABLE) > 50


def test_operations_have_names_of_their_own() -> None:
    names = [operation_id(route) for route in TABLE]

    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    names = {reference.rpartition("/")[2] for reference in references(DOCUMENT)}

    assert len(names) > 20
    assert names - schemas.keys() == set()


def test_the_document_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize("route", TABLE, ids=name_of)
def test_a_route_is_complete(route: Route) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}

    assert named == set(re.findall(r"{(\w+)}", route.path))
    assert route.answers
    assert bool(operation["security"]) == (route.access is not Access.PUBLIC)
    if route.access is Access.USER:
        assert route.scope is not None
    if route.body is not None:
        assert route.body in EXAMPLES, "a body without an example"


@pytest.mark.parametrize("shape", EXAMPLES, ids=lambda shape: shape.__name__)
def test_an_example_is_what_its_route_takes(shape: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(EXAMPLES[shape]), type=shape)
