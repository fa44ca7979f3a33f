"""The 41 scenarios: what each must mean on a real system, whether it is built or not."""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One scenario; its tests carry `@pytest.mark.scenario(category, name)`."""

    category: str
    name: str
    holds: str
    """What must hold."""
    original: str = ""
    """Figures of the suite that the product was specified by."""
    own: str = ""
    """Figures of ours."""


_LIFECYCLE: Final = (
    Row(
        "lifecycle",
        "creation with user isolation",
        "Other users cannot see a thread by get, list, search or socket.",
        "2 users: own list is exactly own ids; foreign get 404",
        "0 leaks in 1,000 random probes",
    ),
    Row(
        "lifecycle",
        "state transitions",
        "A state machine on the server, a version and a history entry per change.",
        "active, paused, active, completed, archived accepted",
        "every illegal pair 409; updated_at strictly later each step; survives a restart",
    ),
    Row(
        "lifecycle",
        "message association and order",
        "The sequence is allocated in the transaction of the insert.",
        "5 messages in order",
        "100 parallel posts to one thread: seq without gap or duplicate",
    ),
    Row(
        "lifecycle",
        "concurrent operations",
        "Optimistic versions and idempotency keys.",
        "3 × 2 = 6 unique threads",
        "50 parallel updates at one version: 1 success; one key × 20: 1 row",
    ),
    Row(
        "lifecycle",
        "metadata evolution",
        "Metadata are merged in SQL, with a history by key and a cap.",
        "five updates",
        "readable through the other process; two writers both kept; > 64 KB is 413",
    ),
    Row(
        "lifecycle",
        "cleanup and archival",
        "A scheduled, batched, resumable job by last activity, with legal hold.",
        "30/90/365-day rule",
        "boundary days; 100,000 threads decided exactly once although killed midway",
    ),
    Row(
        "lifecycle",
        "recovery after interruption",
        "Leases on runs; the reaper marks interrupted ones, another worker resumes.",
        "state before the interruption kept",
        "kill -9 mid-run: found ≤ 15 s, resumed ≤ 30 s, no duplicate message",
    ),
    Row(
        "lifecycle",
        "performance",
        "Creation and update are quick.",
        "create avg < 100 ms, max < 500 ms; update avg < 50 ms",
        "n ≥ 200, P95 and P99 reported",
    ),
)

_CONTEXT: Final = (
    Row(
        "context",
        "building and retrieval",
        "Context is derived from stored messages and stored with a version.",
        "all values of the four-message talk",
        "a rebuild equals the stored copy",
    ),
    Row(
        "context",
        "cross-session continuity",
        "Context depends on no process, socket or cache.",
        "4 messages, 2 decisions, 7 topics, 2 sessions",
        "computed after a flush, a restart and 21 days",
    ),
    Row(
        "context",
        "changing requirements",
        "The latest value and an append-only log of changes.",
        "team_size 10, 50, 200; 3 phases, 6 changes",
        "each change has a message id; as-of query gives 50 at phase 2",
    ),
    Row(
        "context",
        "multi-domain",
        "Contexts per thread and a view over a user's threads.",
        "three domains, 2 constraints",
        "a change in one alters no other; another user sees none",
    ),
    Row(
        "context",
        "serialisation",
        "A typed schema with version and upgraders.",
        "round trip; size < 5 ×",
        "every field by canonical SHA-256; v1 read by v2; size < 2 ×",
    ),
    Row(
        "context",
        "memory and cleanup",
        "The window is summarised and pruned while messages stay stored.",
        "50 to 20, original count 50",
        "size falls; all decisions kept; ≤ 64 KB at 10,000 messages",
    ),
)

_ISOLATION: Final = (
    Row(
        "isolation",
        "basic boundaries",
        "Row-level security by tenant and user, forced, for a role that owns nothing.",
        "2/2/1 threads",
        "raw SQL as the application role without a principal returns 0 rows",
    ),
    Row(
        "isolation",
        "cross-user attempts",
        "Every route and socket command refuses and audits.",
        "four access types refused, own access granted",
        "all routes 100 % refused; exactly one audit row each; the audit is append-only",
    ),
    Row(
        "isolation",
        "concurrent multi-user",
        "Pooled connections never carry a principal over.",
        "5 × 3 = 15 operations",
        "many users, small pool, canaries: 0 foreign bytes in ≥ 100,000 responses",
    ),
    Row(
        "isolation",
        "multi-tenant",
        "Tenants with policies of their own; channels and caches carry the tenant.",
        "3 tenants, 24 attempts refused",
        "over REST, socket, search, export, backup; a restore leaves others unchanged",
    ),
    Row(
        "isolation",
        "failure detection and recovery",
        "Integrity scanner, quarantine, alert, repair.",
        "≥ 2 anomalies found, clean rows stay",
        "≥ 5 kinds injected: 100 % found ≤ 60 s, unreadable; 0 false alarms",
    ),
)

_PERSISTENCE: Final = (
    Row(
        "persistence",
        "durability",
        "Commit before acknowledgement, synchronous_commit on.",
        "1/1/5 rows",
        "kill -9 of PostgreSQL under load × 10: 0 acknowledged messages missing",
    ),
    Row(
        "persistence",
        "atomicity",
        "One transaction per command, constraints.",
        "3 × (1 + 5), 5 × (1 + 3)",
        "a fault before the commit at each statement: 0 partial rows; retries ≤ 3",
    ),
    Row(
        "persistence",
        "failure recovery",
        "Reconnect, breaker, readiness, retry with idempotency.",
        "four failures, each < 300 s",
        "counts and digest equal; what has no backup is reported lost",
    ),
    Row(
        "persistence",
        "backup and restore",
        "Real archive, encrypted, checksummed, restored selectively.",
        "1/3/15; selective restore < 120 s",
        "digest equal; one flipped byte is refused",
    ),
    Row(
        "persistence",
        "retention and archival",
        "Policies, cold store, soft delete, legal hold.",
        "2 kept, 1 archived, 1 deleted",
        "archived readable ≤ 60 s; undelete on day 29; nothing left on day 31; hold blocks",
    ),
)

_WEBSOCKET: Final = (
    Row(
        "websocket",
        "event delivery",
        "Events are stored in order with their run and pushed.",
        "5 events, in order, thread and user on each",
        "frames are the stored rows",
    ),
    Row(
        "websocket",
        "multi-user isolation",
        "Authorised subscriptions, channels per user and tenant.",
        "3 users",
        "200 sockets over 2 processes: 0 foreign of ≥ 10,000 events, more than 0 received",
    ),
    Row(
        "websocket",
        "state synchronisation",
        "An event and its state change are one transaction.",
        "six states read after each frame",
        "through the other process; rising seq; 0 mismatches in 500 runs",
    ),
    Row(
        "websocket",
        "error handling",
        "Resume by cursor, checks of shape and order.",
        "recovered < 10 s",
        "drop at each of 5 points: all events, no repeats; malformed leaves the socket open",
    ),
    Row(
        "websocket",
        "load",
        "Back-pressure and bounded queues.",
        "150/150 events, mean < 1.0 s, round < 5.0 s, 15 per user",
        "200 sockets: fan-out P95 ≤ 250 ms; a slow reader leaves, others do not notice",
    ),
)

_PERFORMANCE: Final = (
    Row(
        "performance",
        "creation",
        "Threads are created quickly, one by one, many and at once.",
        "single < 100 ms; bulk of 5–50 > 10/s, < 50 ms each; 50 concurrent < 5 s",
    ),
    Row(
        "performance",
        "retrieval",
        "Keyset pages over an index, the last page as quick as the first.",
        "last 20 < 200 ms; full < max(500, 0.5 n) ms; page < 150 ms",
        "the last page too; the plan shows an index scan",
    ),
    Row(
        "performance",
        "caching",
        "Read-through with versioned keys, invalidated on commit.",
        "hit ratio > 0.8, invalidation < 50 ms, > 2 ×",
        "0 stale reads in 10,000; without Redis correct, slower",
    ),
    Row(
        "performance",
        "concurrent access",
        "Twenty users at once are served quickly and fairly.",
        "list < 100, get < 50, update < 100, post < 150 ms avg; P95 < 2 ×; > 50 ops/s",
        "slowest user < 3 × fastest over ≥ 100 requests each",
    ),
    Row(
        "performance",
        "memory",
        "Results are streamed, caches bounded.",
        "growth < 50 MB; export adds < 50 MB, < 1 s",
        "RSS of the server; back within 10 % after idle",
    ),
)

_SCALING: Final = (
    Row(
        "scaling",
        "concurrent users",
        "Replicas behind one address.",
        "10–200 users: avg < 1,000 ms, P95 < 2,000, errors < 5 %, < 3 × slower",
        "1,000 users: avg < 500 ms, errors < 1 %",
    ),
    Row(
        "scaling",
        "data volume",
        "Long threads stay quick.",
        "100–10,000 messages: last 50 < 200 ms, add < 100 ms, ratios < 2 ×",
        "search < 300 ms at 10,000",
    ),
    Row(
        "scaling",
        "memory",
        "The server's memory follows connections, not stored data.",
        own="stored data × 70: < 10 %; < 0.1 MB per open connection",
    ),
    Row(
        "scaling",
        "database connections",
        "A bounded pool, a queue with a time limit, 503 and Retry-After.",
        "wait avg < 500, max < 2,000 ms",
        "never above the cap; none leaked after a burst",
    ),
)

_CONTINUITY: Final = (
    Row(
        "continuity",
        "database outage",
        "Probes, readiness, reconnect, no false success.",
        "5/15/150; detection ≤ 30 s, downtime ≤ 300 s",
        "0 acknowledged messages lost",
    ),
    Row(
        "continuity",
        "disaster recovery",
        "Restore into an empty namespace from the object store.",
        "10/59/1,465; ≤ 900 s",
        "digest equal up to the recovery point; loss ≤ backup lag",
    ),
    Row(
        "continuity",
        "planned maintenance",
        "A window: notify, drain, back up, roll, check, reopen.",
        "8/16/80; closed ≤ 120 s, total ≤ 150 s",
        "≥ 99 % of sockets resume ≤ 30 s; writes are 503 with Retry-After",
    ),
)

ROWS: Final = (
    *_LIFECYCLE,
    *_CONTEXT,
    *_ISOLATION,
    *_PERSISTENCE,
    *_WEBSOCKET,
    *_PERFORMANCE,
    *_SCALING,
    *_CONTINUITY,
)
NAMES: Final = frozenset((row.category, row.name) for row in ROWS)
