"""With `--numprocesses 2` the tests in a cluster run beside all others: they mostly wait for it.

Each side keeps its order, so neither meets anything that it would not meet alone.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)  # the suites' image has no pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Two scopes, each of them run by one process from its beginning to its end."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - as above

    class Sides(LoadScopeScheduling):  # type: ignore[misc]  # it publishes no types
        def _split_scope(self, nodeid: str) -> str:
            return "cluster" if nodeid.startswith("tests/cluster/") else "all others"

    return Sides(config, log)
