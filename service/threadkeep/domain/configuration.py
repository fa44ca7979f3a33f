"""Configuration of a tenant: what is kept, and what may be asked to be kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from typing_extensions import override

from threadkeep.domain.limits import Limits, limits_of
from threadkeep.errors import InvalidRequest

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Tier = Literal["free", "early", "mid", "enterprise", "unlimited"]
Kind = Literal["librarian", "scripted", "openai", "worker"]
Algorithm = Literal["HS256", "RS256", "ES256"]
Bound = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Days = Annotated[int, msgspec.Meta(ge=1, le=36_500)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer organisation and its policy."""

    id: str
    name: str
    tier: str
    overrides: dict[str, int]
    """Limits that differ from the tier's."""
    retention: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None

    @property
    def limits(self) -> Limits:
        """What holds: the tier's limits and the overrides."""
        return limits_of(self.tier, self.overrides)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, without its secret."""

    tenant: str
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs user tokens, with which key; without its secret."""

    tenant: str
    id: str
    issuer: str
    key_id: str
    algorithm: str
    audience: str
    jwks_url: str | None
    public_key: str | None
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers on a tenant's threads."""

    tenant: str
    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class LimitOverrides(msgspec.Struct, forbid_unknown_fields=True):
    """Limits that differ from the tier's; 0 is without limit."""

    sockets_per_user: Bound | UnsetType = UNSET
    subscriptions_per_socket: Bound | UnsetType = UNSET
    messages_per_minute: Bound | UnsetType = UNSET
    requests_per_minute: Bound | UnsetType = UNSET


class Retention(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Days after the last activity; absent: never. Kept for the job that applies it."""

    archive_after_days: Days | None = None
    delete_after_days: Days | None = None


class NewTenant(msgspec.Struct, forbid_unknown_fields=True):
    """A tenant to be made."""

    name: Name
    tier: Tier = "free"
    limits: LimitOverrides = msgspec.field(default_factory=LimitOverrides)
    retention: Retention = msgspec.field(default_factory=Retention)


class TenantPatch(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a tenant; limits and retention are replaced as a whole."""

    name: Name | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    limits: LimitOverrides | UnsetType = UNSET
    retention: Retention | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """An API key to be made."""

    name: Name
    scopes: list[str] | None = None
    """Absent: everything but `admin`."""
    expires_at: Moment | None = None


class NewIssuer(msgspec.Struct, forbid_unknown_fields=True):
    """A key of a token issuer to be registered.

    HS256 takes `secret` (made when absent), RS256 and ES256 either `public_key` or `jwks_url`.
    """

    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    audience: Name
    algorithm: Algorithm
    key_id: Annotated[str, msgspec.Meta(max_length=255)] = ""
    """The `kid` of the tokens; empty: this key serves every `kid` without a key of its own."""
    secret: Annotated[str, msgspec.Meta(min_length=32, max_length=1024)] | None = None
    public_key: Annotated[str, msgspec.Meta(max_length=16_384)] | None = None
    jwks_url: Annotated[str, msgspec.Meta(max_length=2048)] | None = None

    @override
    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewIssuer(issuer={self.issuer!r}, key_id={self.key_id!r})"


class NewAgent(msgspec.Struct, forbid_unknown_fields=True):
    """An agent to be made."""

    name: Name
    kind: Kind
    settings: dict[str, Any] = {}


class AgentPatch(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of an agent; settings are replaced as a whole."""

    name: Name | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET


def check_text(value: str, field: str) -> str:
    """Text of one line; `InvalidRequest` where it holds control characters."""
    if _CONTROL.search(value):
        raise InvalidRequest("Control characters are not allowed.", field=field)
    return value
