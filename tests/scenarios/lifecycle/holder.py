"""A worker to be killed: it claims a run, writes half of it, and goes on renewing its lease.

`python -m tests.scenarios.lifecycle.holder URL KEY` prints one line with the claim once its events
are written.
"""

from __future__ import annotations

import json
import secrets
import sys
import time

import httpx

MESSAGE = f"msg_{secrets.token_hex(16)}"
EVENTS = [
    {"type": "agent_thinking", "payload": {"thought": "Half done", "progress_percentage": 50}},
    {
        "type": "tool_executing",
        "payload": {"tool_name": "costs", "call_id": "c1", "tool_input": {"month": 7}},
    },
    {"type": "tool_completed", "payload": {"call_id": "c1", "results": {"cost_identified": 5000}}},
    {"type": "message", "payload": {"message_id": MESSAGE, "content": "July costs 5000."}},
]


def main(url: str, key: str) -> None:
    """Claim, write, renew until killed."""
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=40, trust_env=False
    ) as client:
        claim = client.post("/v1/worker/claim", json={"worker": "first", "wait_seconds": 20})
        claim.raise_for_status()
        claimed = claim.json()
        held = f"/v1/worker/runs/{claimed['run']['id']}"
        fence = claimed["fence"]
        client.post(f"{held}/events", json={"fence": fence, "events": EVENTS}).raise_for_status()
        told = {"run": claimed["run"]["id"], "fence": fence, "message": MESSAGE}
        print(json.dumps(told), flush=True)
        while True:
            time.sleep(3)
            client.post(f"{held}/heartbeat", json={"fence": fence}).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
