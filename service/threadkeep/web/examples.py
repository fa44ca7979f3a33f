"""Examples of what callers send, for the description of the API; a test decodes each of them."""

from __future__ import annotations

from typing import Any, Final

from threadkeep.domain import configuration
from threadkeep.web.schemas import runs, search, threads

EXAMPLES: Final[dict[Any, Any]] = {
    threads.ThreadCreate: {
        "external_id": "ticket-4711",
        "title": "Delivery of order 4711",
        "metadata": {"language": "en", "priority": 2},
    },
    threads.ThreadChange: {"title": "Delivery, solved", "metadata": {"priority": None}},
    threads.ReadMarker: {"seq": 12},
    threads.MessagesCreate: {
        "messages": [{"role": "user", "content": "Where is my parcel?", "metadata": {}}]
    },
    search.TicketCreate: {"origin": "https://shop.example", "seconds": 60},
    runs.RunCreate: {
        "agent": "librarian",
        "message": {"content": "What did I ask about parcels?"},
        "if_busy": "enqueue",
    },
    runs.ToolOutputs: {"outputs": [{"call_id": "call_1", "results": {"status": "shipped"}}]},
    runs.Claim: {"worker": "worker-1", "agents": ["planner"], "wait_seconds": 20},
    runs.Held: {"fence": 1},
    runs.WorkerEvents: {
        "fence": 1,
        "events": [
            {"type": "agent_thinking", "payload": {"thought": "Looking it up."}},
            {
                "type": "tool_executing",
                "payload": {"tool_name": "orders", "call_id": "call_1", "tool_input": {"id": 4711}},
            },
        ],
    },
    runs.Complete: {"fence": 1, "message": {"content": "It has been shipped."}},
    runs.Fail: {"fence": 1, "error": "The order service did not answer."},
    configuration.NewTenant: {"name": "Example Shop", "tier": "early"},
    configuration.TenantPatch: {"tier": "mid", "limits": {"messages_per_minute": 600}},
    configuration.NewKey: {"name": "backend", "scopes": ["threads:read", "threads:write"]},
    configuration.NewIssuer: {
        "issuer": "https://login.example",
        "audience": "threadkeep",
        "algorithm": "RS256",
        "jwks_url": "https://login.example/.well-known/jwks.json",
    },
    configuration.NewAgent: {"name": "librarian", "kind": "librarian"},
    configuration.AgentPatch: {"name": "archivist"},
}
"""Struct → JSON value."""
