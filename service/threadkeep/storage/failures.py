"""What the driver raises, turned into what the service says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from threadkeep.errors import SettingsError, ThreadkeepError, Unavailable

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
"""What means that a connection has ended; a statement may have been committed all the same."""
AWAY: Final = (
    *LOST,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a database that is away, full, busy or being promoted answers."""
REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""What a server answers that lets this service in no more: its login or database was changed."""


@contextmanager
def wrap_errors() -> Iterator[None]:
    """Turn what the driver raises into `Unavailable`; nothing was committed."""
    try:
        yield
    except ThreadkeepError:
        raise
    except AWAY as exc:
        raise Unavailable(_sentence(exc)) from exc


@contextmanager
def connecting() -> Iterator[None]:
    """The same around a new connection of a service that runs, which may be refused."""
    try:
        yield
    except REFUSED as exc:
        raise Unavailable("The database lets this service in no more.") from exc


@contextmanager
def explained() -> Iterator[None]:
    """Say why a first connection failed: to who has started this, not to callers of the API."""
    try:
        yield
    except REFUSED as exc:
        raise SettingsError(f"PostgreSQL refuses the database URL: {exc}.") from exc
    except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError) as exc:
        raise Unavailable(
            f"The database cannot be reached: {str(exc) or type(exc).__name__}."
        ) from exc


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, asyncpg.LockNotAvailableError):
        return "The thread is busy; try again."
    if isinstance(exc, TimeoutError):
        return "The database did not answer in time."
    return "The database is not available."
