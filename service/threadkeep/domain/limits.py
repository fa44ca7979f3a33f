"""Limits of one tenant. The defaults are the free tier's; each may be overridden by its policy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

FRAME_BYTES: Final = 256 * 1024
"""Largest frame a socket accepts; a larger one is answered by an error frame."""
BODY_BYTES: Final = 8 * 1024 * 1024
"""Largest HTTP body: 100 messages of 64 KB and their envelopes."""
TEXT_BYTES: Final = 64 * 1024
"""Largest text of one message, in bytes of UTF-8."""
STREAMING_BYTES: Final = 512 * 1024
"""Largest text of all messages of one run that are not finished yet: it is kept in memory, read
again and sent to whoever joins as a whole."""
METADATA_BYTES: Final = 64 * 1024
"""Largest metadata of a thread or message, in bytes of canonical JSON."""
QUEUE_BYTES: Final = 1024 * 1024
"""What may wait for one socket before it is a slow consumer (4408)."""
MESSAGES_PER_REQUEST: Final = 100
"""Messages appended atomically by one request."""
JSON_DEPTH: Final = 32
"""Deepest nesting of any JSON that is kept."""
PAGE_ITEMS: Final = 100
"""Largest page of a list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-tenant limits; 0 means without limit."""

    sockets_per_user: int = 20
    subscriptions_per_socket: int = 128
    messages_per_minute: int = 60
    """Messages one user may append in a minute, per process unless Redis is configured."""
    requests_per_minute: int = 1200
    """HTTP requests and socket commands of one user in a minute."""


TIERS: Final[dict[str, Limits]] = {
    "free": Limits(),
    "early": Limits(messages_per_minute=300, requests_per_minute=3000),
    "mid": Limits(messages_per_minute=1200, requests_per_minute=6000),
    "enterprise": Limits(
        sockets_per_user=200,
        subscriptions_per_socket=1024,
        messages_per_minute=6000,
        requests_per_minute=30000,
    ),
    "unlimited": Limits(
        sockets_per_user=0,
        subscriptions_per_socket=0,
        messages_per_minute=0,
        requests_per_minute=0,
    ),
}
"""Tiers are data: the four that are sold, and `unlimited` for demo and benchmark tenants."""


def limits_of(tier: str, overrides: dict[str, int] | None = None) -> Limits:
    """Limits of a tier with a tenant's own overrides; unknown override names are ignored."""
    known = {f.name for f in fields(Limits)}
    chosen = {k: v for k, v in (overrides or {}).items() if k in known}
    return replace(TIERS[tier], **chosen)
