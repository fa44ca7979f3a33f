"""Broken runs: nobody looks after holders that are gone."""

from __future__ import annotations

from threadkeep.services.runs.leases import Leases

from . import breaks, put


@breaks("no-reaper")
def no_reaper() -> None:
    """Expired leases are found by nobody."""

    async def reap(_self: Leases) -> int:
        return 0

    put(Leases, "reap", reap)
