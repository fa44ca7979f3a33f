"""Messages: what may be in one, and how it becomes an entry of the log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from threadkeep.domain import documents, ids, moments
from threadkeep.domain.entries import MESSAGE, Draft
from threadkeep.domain.limits import METADATA_BYTES, TEXT_BYTES
from threadkeep.errors import InvalidRequest, TooLarge

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Uri = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class TextPart(msgspec.Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Text inside a list of parts."""

    text: str


class ImageRef(
    msgspec.Struct,
    tag="image_ref",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """An image, by reference."""

    url: Uri
    media_type: Name | None = None


class FileRef(
    msgspec.Struct, tag="file_ref", tag_field="type", forbid_unknown_fields=True, omit_defaults=True
):
    """A file, by reference."""

    url: Uri
    name: Name | None = None
    media_type: Name | None = None
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class DataPart(msgspec.Struct, tag="data", tag_field="type", forbid_unknown_fields=True):
    """Structured data of the caller's own."""

    data: dict[str, Any]


Part = TextPart | ImageRef | FileRef | DataPart
Content = str | Annotated[list[Part], msgspec.Meta(min_length=1, max_length=100)]


class ToolCall(msgspec.Struct, forbid_unknown_fields=True):
    """A call of a tool that an assistant asks for."""

    id: Name
    name: Name
    arguments: dict[str, Any]


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A message as callers send it and as the log keeps it."""

    content: Content
    role: Literal["user", "assistant", "system", "tool"] = "user"
    name: Name | None = None
    tool_calls: Annotated[list[ToolCall], msgspec.Meta(min_length=1, max_length=100)] | None = None
    tool_call_id: Name | None = None
    metadata: dict[str, Any] = {}
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_PAYLOAD_BYTES: Final = TEXT_BYTES * 6 + METADATA_BYTES * 2
"""Text may grow sixfold by JSON's escapes; parts, calls and metadata come on top."""


class _Payload(msgspec.Struct, omit_defaults=True):
    """The stored payload; role and metadata are always written."""

    content: Content
    metadata: dict[str, Any]
    role: str
    name: str | None = None
    occurred_at: datetime | None = None
    tool_call_id: str | None = None
    tool_calls: list[ToolCall] | None = None


def draft(message: Message, field: str = "message", run: str | None = None) -> Draft:
    """The entry that a message becomes.

    Raises `TooLarge` for text over 64 KB or metadata over 64 KB and `InvalidRequest` for
    what cannot be kept.
    """
    _check_text(message.content, field)
    if message.occurred_at is not None:
        moments.check(message.occurred_at, field=f"{field}.occurred_at")
    if message.metadata:
        documents.canonical(message.metadata, field=f"{field}.metadata", limit=METADATA_BYTES)
    payload = _Payload(
        content=message.content,
        metadata=message.metadata,
        role=message.role,
        name=message.name,
        occurred_at=message.occurred_at,
        tool_call_id=message.tool_call_id,
        tool_calls=message.tool_calls,
    )
    body = documents.canonical(payload, field=field, limit=_PAYLOAD_BYTES)
    return Draft(ids.new_id(), MESSAGE, body.decode(), run, message.occurred_at)


def text_of(content: Content) -> str:
    """The text in a content: itself, or its text parts joined by new lines."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


class _SpokenPart(msgspec.Struct):
    type: str
    text: str = ""


class _Spoken(msgspec.Struct):
    role: str
    content: str | list[_SpokenPart]


def spoken(body: str) -> tuple[str, str]:
    """The role and the text of a message as the log keeps it.

    Nothing else is decoded, or half a megabyte of data would hold up the event loop for 10 ms.
    """
    stored = msgspec.json.decode(body, type=_Spoken)
    content = stored.content
    if not isinstance(content, str):
        content = "\n".join(part.text for part in content if part.type == "text")
    return stored.role, content


def _check_text(content: Content, field: str) -> None:
    text = content if isinstance(content, str) else text_of(content)
    size = len(text)
    if size * 4 > TEXT_BYTES:
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > TEXT_BYTES:
        raise TooLarge(f"{field}.content is {size} bytes of text; {TEXT_BYTES} are allowed.")
    if isinstance(content, str) and not content:
        raise InvalidRequest("The content is empty.", field=f"{field}.content")
