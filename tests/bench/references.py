"""References A and B: what pgbench reaches on the same server in the same minutes.

A commits one plain row by itself; B is the complete append as one function call per message, as
a service without group commit would do it at best.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from threadkeep.embedded.postgres import programs

CLIENTS = 32

PREPARE = """
CREATE TABLE IF NOT EXISTS bench_plain (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(), body text NOT NULL);
CREATE TABLE IF NOT EXISTS bench_threads (n int PRIMARY KEY, tenant uuid, thread uuid, owner text);
"""

_PLAIN = "INSERT INTO bench_plain (body) VALUES ('{body}');\n"

_COMPLETE = """\\set n random(1, {threads})
SELECT o.verdict FROM (SELECT * FROM bench_threads WHERE n = :n) t
 CROSS JOIN LATERAL (SELECT gen_random_uuid() AS id) i
 CROSS JOIN LATERAL append_one(t.tenant, t.thread, t.owner, uuid_send(i.id),
    sha256(uuid_send(i.id)), ARRAY[i.id], ARRAY['{body}'], ARRAY[NULL::timestamptz], i.id) o;
"""

_RATE = re.compile(r"tps = ([0-9.]+)")


class Reference:
    """One pgbench script against one database."""

    def __init__(self, url: str, folder: Path, name: str, script: str) -> None:
        self._url = url
        self._script = folder / f"{name}.sql"
        self._script.write_text(script, encoding="utf-8")
        self.name = name

    async def run(self, seconds: int) -> float:
        """Transactions per second over `seconds`."""
        parts = urlsplit(self._url)
        host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
        process = await asyncio.create_subprocess_exec(
            str(programs() / "pgbench"),
            *("--host", host, "--username", parts.username or "postgres"),
            *("--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2"),
            *(f"--time={seconds}", f"--file={self._script}", parts.path.lstrip("/")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), seconds + 60)
        found = _RATE.search(out.decode())
        if found is None:
            raise RuntimeError(f"pgbench failed: {err.decode()[-500:]}")
        return float(found.group(1))


def plain(url: str, folder: Path, body: str) -> Reference:
    """A: one single-row insert per transaction."""
    return Reference(url, folder, "A", _PLAIN.format(body=body))


def complete(url: str, folder: Path, body: str, threads: int) -> Reference:
    """B: the complete append, one function call per transaction."""
    return Reference(url, folder, "B", _COMPLETE.format(body=body, threads=threads))
