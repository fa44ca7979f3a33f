"""Settings: environment only, prefix `THREADKEEP_`, read once at start and handed down.

A secret may also come from a file: `THREADKEEP_DATABASE_URL_FILE` names one that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from threadkeep.errors import SettingsError

PREFIX = "THREADKEEP_"
SECRETS = frozenset(
    {"database_url", "database_direct_url", "app_password", "redis_url", "platform_key"}
)
RESERVED: Final = 2
"""Connections that neither requests nor append lanes have: LISTEN, and what probes ask with."""

_WANTED = {
    "database_url": "an address that begins with postgresql://",
    "database_direct_url": "an address that begins with postgresql://",
    "platform_key": "at least 16 characters",
    "app_password": "ASCII without spaces",
}
"""What a pattern asks for, in words."""

PostgresUrl = Annotated[str, msgspec.Meta(pattern="^postgres(ql)?://")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set, with its default, unit and reason."""

    database_url: PostgresUrl
    """PostgreSQL as the application role; may be pooled in transaction mode. Required."""

    database_direct_url: PostgresUrl | Literal[""] = ""
    """PostgreSQL without a pooler, for LISTEN and migrations. Empty: `database_url`."""

    app_password: Annotated[str, msgspec.Meta(pattern="^[!-~]*$")] = ""
    """Of `threadkeep migrate` alone, which lets the role `threadkeep_app` log in with it; ASCII
    without spaces. Empty: the role's login is left as it is."""

    database_pooled: bool = False
    """True behind PgBouncer in transaction mode: no named prepared statements are used then."""

    database_connections: Annotated[int, msgspec.Meta(ge=4, le=1000)] = 12
    """Connections of one process at most: append lanes, one for LISTEN, one for probes, and what
    requests share. A fixed budget, so that replicas × workers × this stays below the server's
    `max_connections`."""

    append_lanes: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    """Connections that write batches, each used when those before it are full or held up; more
    than two helped nothing on two cores."""

    request_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    """Longest time a request waits for the database before it is answered 503."""

    redis_url: str = ""
    """Redis for wake-ups and shared rate limits. Empty: not used."""

    wakeups: Literal["process", "postgres", "redis", "none"] = "postgres"
    """How processes tell each other that a thread has grown. `process`: not at all (one process
    only needs itself); `none`: even itself only by the sweep, which tests use."""

    platform_key: Annotated[str, msgspec.Meta(pattern="^(.{16,})?$")] = ""
    """Key for `/v1/tenants` and `/v1/status`, at least 16 characters; issuer secrets are sealed
    under it. Empty: these routes refuse everybody, and there are no HS256 issuers."""

    address_attempts_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 6000
    """Attempts of one address without a valid credential in a minute, per process; 0: no limit.
    Generous, because many users may share the address of a proxy. IPv6 counts by /64."""

    allowed_origins: list[str] = []
    """Browser origins allowed for sockets and CORS, comma separated. Empty: same origin."""

    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=600)] = 10.0
    """After SIGTERM: time over which sockets are told to leave, below the grace period."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON elsewhere."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    unsafe_durability: bool = False
    """Accept a server with fsync or synchronous_commit off. For tests only."""

    @property
    def direct_url(self) -> str:
        """Where LISTEN and migrations go."""
        return self.database_direct_url or self.database_url

    @property
    def pool_connections(self) -> int:
        """Connections that requests share."""
        return self.database_connections - self.append_lanes - RESERVED


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from an environment; `SettingsError` names every problem at once."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    known = {field.name: field for field in msgspec.structs.fields(Settings)}
    for name in known:
        variable = PREFIX + name.upper()
        raw = environ.get(variable)
        if raw is None and name in SECRETS and (path := environ.get(f"{variable}_FILE")):
            try:
                raw = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as exc:
                problems.append(f"{variable}_FILE: {exc}")
                continue
        if raw is not None and raw != "":
            values[name] = _split(raw) if name == "allowed_origins" else raw
    for name, field in known.items():
        _check(name, field, values, problems)
    if problems:
        raise _wrong(problems)
    settings = msgspec.convert(values, Settings, strict=False)
    if settings.pool_connections < 1:
        least = settings.append_lanes + RESERVED + 1
        raise _wrong([f"{PREFIX}DATABASE_CONNECTIONS: must be at least {least} with these lanes"])
    return settings


def _wrong(problems: list[str]) -> SettingsError:
    return SettingsError("Settings are wrong:\n  " + "\n  ".join(problems))


def _check(
    name: str, field: msgspec.structs.FieldInfo, values: dict[str, Any], problems: list[str]
) -> None:
    variable = PREFIX + name.upper()
    if name not in values:
        if field.required:
            problems.append(f"{variable}: required")
        return
    try:
        msgspec.convert(values[name], field.type, strict=False)
    except msgspec.ValidationError as exc:
        shown = "" if name in SECRETS else f" (is {values[name]!r})"
        wanted = _WANTED.get(name)
        problems.append(f"{variable}: {f'must be {wanted}' if wanted else exc}{shown}")


def _split(raw: str) -> list[str]:
    return [part.strip() for part in raw.split(",") if part.strip()]
