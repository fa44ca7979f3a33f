"""Shapes of a tenant's configuration; what is sent is described by the domain."""

from __future__ import annotations

from typing import Annotated

import msgspec

from threadkeep.domain.configuration import Algorithm, Kind, Tier
from threadkeep.web.schemas.common import Json, Moment, Page, TenantId

KeyId = Annotated[str, msgspec.Meta(pattern="^key_[0-9a-f]{32}$")]
IssuerId = Annotated[str, msgspec.Meta(pattern="^iss_[0-9a-f]{32}$")]
AgentId = Annotated[str, msgspec.Meta(pattern="^agt_[0-9a-f]{32}$")]


class LimitsObject(msgspec.Struct):
    """Limits that hold: the tier's with the tenant's own; 0 is without limit."""

    sockets_per_user: int
    subscriptions_per_socket: int
    messages_per_minute: int
    requests_per_minute: int


class TenantObject(msgspec.Struct):
    """A tenant and its policy."""

    id: TenantId
    name: str
    tier: Tier
    limits: LimitsObject
    limit_overrides: dict[str, int]
    retention: Json
    disabled: bool
    created_at: Moment
    updated_at: Moment
    disabled_at: Moment | None


class TenantPage(Page):
    """A page of tenants."""

    data: list[TenantObject]


class KeyObject(msgspec.Struct):
    """An API key, without its secret."""

    id: KeyId
    name: str
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class KeyPage(Page):
    """A page of API keys."""

    data: list[KeyObject]


class NewKeyObject(KeyObject):
    """A new API key; its secret is shown only here."""

    secret: str


class IssuerObject(msgspec.Struct):
    """A key of a token issuer, without its secret."""

    id: IssuerId
    issuer: str
    key_id: str
    algorithm: Algorithm
    audience: str
    jwks_url: str | None
    public_key: str | None
    created_at: Moment
    revoked_at: Moment | None


class IssuerPage(Page):
    """A page of issuers' keys."""

    data: list[IssuerObject]


class NewIssuerObject(IssuerObject):
    """A new key; a secret that was made for it is shown only here."""

    secret: str | None


class AgentSummary(msgspec.Struct):
    """An agent, as users see it."""

    id: AgentId
    name: str
    kind: Kind
    created_at: Moment
    updated_at: Moment


class AgentSummaryPage(Page):
    """A page of agents."""

    data: list[AgentSummary]


class AgentObject(AgentSummary):
    """An agent with its settings."""

    settings: Json


class AgentPage(Page):
    """A page of agents."""

    data: list[AgentObject]
