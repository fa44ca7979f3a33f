"""What the environment may say."""

from __future__ import annotations

import pytest

from threadkeep.errors import SettingsError
from threadkeep.settings import load

URL = {"THREADKEEP_DATABASE_URL": "postgresql://app@localhost/threadkeep"}


@pytest.mark.parametrize(("lanes", "least"), [(2, 5), (8, 11)])
def test_requests_have_a_connection_at_least(lanes: int, least: int) -> None:
    """The budget holds lanes, LISTEN and the probes' connection, and is never exceeded."""
    environment = URL | {"THREADKEEP_APPEND_LANES": str(lanes)}

    enough = load(environment | {"THREADKEEP_DATABASE_CONNECTIONS": str(least)})
    with pytest.raises(SettingsError, match="DATABASE_CONNECTIONS: must be at least") as refused:
        load(environment | {"THREADKEEP_DATABASE_CONNECTIONS": str(least - 1)})

    assert enough.pool_connections == 1
    assert str(least) in str(refused.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"THREADKEEP_DATABASE_CONNECTIONS": "many", "THREADKEEP_PLATFORM_KEY": "hunter2"})

    said = str(refused.value)
    assert "THREADKEEP_DATABASE_URL: required" in said
    assert "THREADKEEP_DATABASE_CONNECTIONS" in said
    assert "THREADKEEP_PLATFORM_KEY: must be at least 16 characters" in said
    assert "hunter2" not in said
