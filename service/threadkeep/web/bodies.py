"""Reading what callers send: JSON bodies, frames and query parameters, into Structs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from threadkeep.domain import limits
from threadkeep.errors import InvalidRequest, TooLarge
from threadkeep.web.choices import choices

T = TypeVar("T")

BODY_SECONDS: Final = 20.0
"""A body that has not arrived by then is given up: slow senders must not hold connections."""

_PLACE: Final = re.compile(r" - at `\$\.?(?P<place>.*)`\Z")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`|field `(?P<missing>[^`]*)`")
_CHOSEN: Final = ("Invalid enum value", "Invalid value")
_OF_QUERY: Final = {
    "Object contains unknown field": "There is no query parameter",
    "Object missing required field": "Required is the query parameter",
}
"""What msgspec says of an object, said of a query."""
_NUL: Final = b"\\u0000"


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    if shape not in _decoders:
        _decoders[shape] = msgspec.json.Decoder(shape)
    return _decoders[shape]


def _one_key(_value: object) -> int:
    return 1


def decode(raw: bytes | str, shape: type[T], least_keys: Callable[[T], int] = _one_key) -> T:
    """JSON text as a Struct.

    `least_keys` says how many keys a value must have had: text with no more colons than that has
    none twice, and need not be read again to see it.
    Raises `InvalidRequest`: malformed when it is not JSON (also NaN, invalid UTF-8, a repeated
    key), else with the path of the field that does not fit.
    """
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogatepass")
    try:
        value = _decoder(shape).decode(raw)
        if raw.count(b":") > least_keys(value) or _NUL in raw:
            refuse_repeated_keys(raw)
    except msgspec.ValidationError as exc:
        _must_parse(raw)
        raise invalid(exc, shape) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(exc) from exc
    return value


def _malformed(exc: BaseException) -> InvalidRequest:
    reason = {RecursionError: "nested too deeply", UnicodeDecodeError: "not UTF-8"}
    return InvalidRequest(f"This is not JSON: {reason.get(type(exc), str(exc))}.", malformed=True)


def _must_parse(raw: bytes) -> None:
    # A Struct decoder stops at the first field that does not fit, before it has read the rest.
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
        raw.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(exc) from exc


def refuse_repeated_keys(raw: bytes) -> None:
    """Raise `InvalidRequest` for JSON in which an object has one key twice, or a NUL character."""
    # Parsers disagree about which value counts, so one key twice in an object is no JSON here.
    _pairwise.decode(raw.decode())


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise InvalidRequest("This is not JSON: a key occurs twice in one object.", malformed=True)
    for name, value in pairs:
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            raise InvalidRequest("NUL characters are not allowed.", field=name.replace("\0", ""))
    return made


_pairwise: Final = json.JSONDecoder(object_pairs_hook=_pairs)
"""Made once: that costs more than a small body."""


def invalid(exc: msgspec.ValidationError, shape: Any) -> InvalidRequest:
    """What msgspec found, with the path of the field and what could have stood there."""
    text = str(exc)
    place = ""
    if match := _PLACE.search(text):
        text, place = text[: match.start()], match["place"]
    if match := _UNKNOWN.search(text):
        name = match["name"] or match["missing"]
        place = f"{place}.{name}" if place else name
    elif text.startswith(_CHOSEN) and (allowed := choices(shape, place)):
        text = f"{text}; allowed: {', '.join(allowed)}"
    return InvalidRequest(f"{text}.", field=place or None)


async def read_body(request: web.Request) -> bytes:
    """The body, whole; `TooLarge` above the limit, `InvalidRequest` when it does not arrive."""
    try:
        if request.content.is_eof():  # a small body comes together with its head
            return await request.read()
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise TooLarge(f"A body has at most {limits.BODY_BYTES} bytes.") from exc
    except TimeoutError as exc:
        raise InvalidRequest("The body did not arrive in time.", malformed=True) from exc


async def body(
    request: web.Request, shape: type[T], least_keys: Callable[[T], int] = _one_key
) -> T:
    """The JSON body of a request as a Struct, by `decode`."""
    if request.content_type not in ("application/json", "application/merge-patch+json"):
        raise InvalidRequest("The Content-Type must be application/json.", malformed=True)
    return decode(await read_body(request), shape, least_keys)


def query(request: web.Request, shape: type[T]) -> T:
    """The query parameters as a Struct; an unknown or repeated one is `InvalidRequest`."""
    return parameters(request.query.items(), shape)


def parameters(items: Iterable[tuple[str, str]], shape: type[T]) -> T:
    """The same from (name, value) pairs."""
    given: dict[str, str] = {}
    for name, value in items:
        if name in given:
            raise InvalidRequest("A query parameter is given twice.", field=name)
        if "\0" in value or "\ufffd" in value:
            raise InvalidRequest("Not UTF-8, or a NUL character.", field=name)
        given[name] = value
    return convert(given, shape)


def convert(given: Mapping[str, str], shape: type[T]) -> T:
    """Texts as a Struct."""
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as exc:
        found = invalid(exc, shape)
        for of_body, of_query in _OF_QUERY.items():
            found.message = found.message.replace(of_body, of_query)
        raise found from exc
