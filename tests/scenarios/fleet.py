"""Every process of the service that is tested, one by one: what each says about itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

MEGABYTE = 2**20
CONNECTIONS: Final = 12
"""Database connections that a process may have where nobody has set another number."""
_SECONDS = 10.0


@dataclass(frozen=True)
class Fleet:
    """Addresses of all processes, and what each was told."""

    urls: list[str]

    @property
    def database_connections(self) -> int:
        """How many connections to the database all of them may have together."""
        each = int(os.environ.get("THREADKEEP_TEST_DATABASE_CONNECTIONS") or CONNECTIONS)
        return each * len(self.urls)

    async def samples(self, name: str) -> list[float]:
        """One metric of every process."""
        return [(await metrics(url))[name] for url in self.urls]

    async def resident(self) -> float:
        """Resident memory of all processes together, in MB."""
        return sum(await self.samples("process_resident_memory_bytes")) / MEGABYTE


async def metrics(url: str) -> dict[str, float]:
    """All samples without labels of one process."""
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
        answer = await client.get(f"{url}/metrics")
    answer.raise_for_status()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if not sample.labels
    }
