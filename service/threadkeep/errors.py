"""The product's errors. Codes are stable; how an edge shows them is that edge's table."""

from __future__ import annotations


class ThreadkeepError(Exception):
    """Something went wrong inside the service."""

    code = "internal"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or self.code).strip().splitlines()[0]
        super().__init__(self.message)


class InvalidRequest(ThreadkeepError):
    """The request is not well formed."""

    code = "invalid_request"

    def __init__(
        self, message: str | None = None, *, field: str | None = None, malformed: bool = False
    ) -> None:
        super().__init__(message)
        self.field = field
        """Path of the offending field, such as `messages[0].content`."""
        self.malformed = malformed
        """True when it could not be parsed at all (HTTP 400 instead of 422)."""


class IdempotencyMismatch(ThreadkeepError):
    """This idempotency key was used before with another request."""

    code = "idempotency_mismatch"


class UnknownType(ThreadkeepError):
    """This command is not known."""

    code = "unknown_type"


class NotAuthenticated(ThreadkeepError):
    """Valid credentials are required."""

    code = "not_authenticated"


class Forbidden(ThreadkeepError):
    """These credentials do not allow this."""

    code = "forbidden"


class NotFound(ThreadkeepError):
    """There is no such resource."""

    code = "not_found"


class Conflict(ThreadkeepError):
    """The present state does not allow this."""

    code = "conflict"

    def __init__(
        self, message: str | None = None, *, state: str | None = None, run_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.state = state
        """State that stood in the way, if it was a state."""
        self.run_id = run_id
        """Public id of the run that keeps the thread busy, if it was one."""


class StaleFence(ThreadkeepError):
    """This worker no longer holds the lease of the run."""

    code = "stale_fence"


class Gone(ThreadkeepError):
    """This thread was deleted."""

    code = "gone"


class StaleVersion(ThreadkeepError):
    """The resource has changed since the version that was given."""

    code = "stale_version"


class TooLarge(ThreadkeepError):
    """The request is larger than the limit."""

    code = "too_large"


class TooMany(ThreadkeepError):
    """A limit of this account is reached."""

    code = "too_many"

    def __init__(self, message: str | None = None, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which a new try may succeed."""


class Unavailable(ThreadkeepError):
    """The service cannot do this now; nothing was changed."""

    code = "unavailable"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: float = 1.0,
        outcome_unknown: bool = False,
    ) -> None:
        if outcome_unknown and message is None:
            message = "The outcome is unknown; repeat with the same idempotency key to learn it."
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which a new try may succeed."""
        self.outcome_unknown = outcome_unknown
        """True when the write may or may not have been committed."""


class Maintenance(Unavailable):
    """The service is in maintenance; nothing was changed."""

    code = "maintenance"


class SettingsError(ThreadkeepError):
    """Settings are missing or wrong."""

    code = "settings"


class DependencyError(ThreadkeepError):
    """Something the service needs is missing or too old."""

    code = "dependency"
