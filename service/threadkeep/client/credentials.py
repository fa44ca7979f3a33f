"""What a caller shows: a user's token, or an API key that acts for a user."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one whenever the present one is refused."""


@dataclass(slots=True)
class Credentials:
    """Makes the headers of every request, and renews a token where that is possible."""

    bearer: Token = field(repr=False)
    user: str | None = None
    _current: str | None = field(default=None, init=False, repr=False)

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be replaced."""
        return not isinstance(self.bearer, str)

    def renew(self) -> None:
        """Ask for another token before the next request."""
        self._current = None

    async def headers(self) -> dict[str, str]:
        """The headers that say who calls."""
        if self._current is None:
            self._current = await self._fetch()
        headers = {"Authorization": f"Bearer {self._current}"}
        if self.user is not None:
            headers["Threadkeep-User"] = self.user
        return headers

    async def _fetch(self) -> str:
        if isinstance(self.bearer, str):
            return self.bearer
        given = self.bearer()
        return await given if inspect.isawaitable(given) else given


def credentials_from(*, token: Token | None, api_key: str | None, user: str | None) -> Credentials:
    """Exactly one of token and API key; an API key names the user it acts for."""
    if api_key is not None and token is None:
        return Credentials(api_key, user)
    if token is None or api_key is not None:
        raise ValueError("Give either token or api_key.")
    if user is not None:
        raise ValueError("A token names its user itself; `user` goes with an API key.")
    return Credentials(token)
