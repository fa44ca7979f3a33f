"""Fixtures of several folders."""

from __future__ import annotations

import pytest

from threadkeep.services.access.recent import Recent


@pytest.fixture
def lasting_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is known stays known: once a second the usual way would look again."""
    defaults = Recent.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "seconds", 600.0)
