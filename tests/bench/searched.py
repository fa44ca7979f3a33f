"""A user's messages to search in: written into log and read model by SQL, as it would be."""

from __future__ import annotations

import random

from tests.support.postgres import superuser
from threadkeep.domain import words

from .stack import Stack

READER = "reader"
_THREADS = 500
_WORDS = 20_000
"""Different words, the common ones as frequent as in prose: the cube of an even choice."""
_TEXT_WORDS = 12

_FILL = """
WITH said AS MATERIALIZED (
SELECT h.tenant_id, h.thread_id, 2 + n / $2 AS seq, h.owner, w.said
  FROM generate_series(0, $1::int - 1) n
  JOIN (SELECT tenant_id, thread_id, owner, row_number() OVER (ORDER BY thread_id) - 1 AS place
          FROM heads WHERE owner = $4) h ON h.place = n % $2
 CROSS JOIN LATERAL (
    SELECT array_agg('w' || floor($5::int * random() ^ 3)::int) AS said
      FROM generate_series(1, $6::int) WHERE n >= 0) w),
entry AS (
INSERT INTO entries (tenant_id, thread_id, seq, id, created_at, owner, kind, body)
SELECT tenant_id, thread_id, seq, gen_random_uuid(), now(), owner, 'message',
       json_build_object('content', array_to_string(said, ' '), 'metadata', '{}'::json,
                         'role', 'user')
  FROM said)
INSERT INTO search (tenant_id, thread_id, seq, owner, words)
SELECT tenant_id, thread_id, seq, owner,
       array_to_tsvector(ARRAY(SELECT DISTINCT $3 || x FROM unnest(said) x))
  FROM said
"""


async def fill(stack: Stack, messages: int) -> int:
    """Write them; how many there are."""
    await stack.threads(_THREADS, as_user=READER)
    async with superuser(stack.database.superuser_url) as connection:
        tenant = await connection.fetchval(
            "SELECT tenant_id FROM heads WHERE owner = $1 LIMIT 1", READER
        )
        # The index is made again at the end, which takes a fraction of the time.
        index = await connection.fetchval("SELECT pg_get_indexdef('search_words'::regclass)")
        await connection.execute("SET maintenance_work_mem = '512MB'; DROP INDEX search_words")
        mark = words.mark_of(tenant.hex, READER)
        await connection.execute(_FILL, messages, _THREADS, mark, READER, _WORDS, _TEXT_WORDS)
        await connection.execute(index)
        await connection.execute("VACUUM ANALYZE search, entries")
        held: int = await connection.fetchval(
            "SELECT count(*) FROM search WHERE owner = $1", READER
        )
    return held


def query() -> str:
    """One or two words, chosen as those of the messages are."""
    chosen = [f"w{int(_WORDS * random.random() ** 3)}" for _ in range(random.randint(1, 2))]
    return " ".join(chosen)
