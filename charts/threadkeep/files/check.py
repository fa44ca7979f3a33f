"""`helm test`: append through the Service, read it back over HTTP and over a socket, tidy up."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from threadkeep.client import Message, Thread, Threadkeep

URL = os.environ["CHECK_URL"]
PLATFORM_KEY = Path(os.environ["CHECK_PLATFORM_KEY_FILE"]).read_text(encoding="utf-8").strip()
SAID = [f"message {number}" for number in range(3)]


def platform(method: str, path: str, **body: str | bool) -> Any:
    """One of the platform's routes."""
    headers = {"Authorization": f"Bearer {PLATFORM_KEY}", "Content-Type": "application/json"}
    content = json.dumps(body).encode()
    request = urllib.request.Request(URL + path, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


async def heard(keep: Threadkeep, thread: Thread) -> list[str]:
    """What a socket tells of a thread, from its beginning."""
    texts: list[str] = []
    async with keep.subscribe(thread, after_seq=0) as events:
        while len(texts) < len(SAID):
            event = await anext(events)
            if isinstance(event, Message):
                texts.append(event.payload.text)
    return texts


async def converse(key: str) -> None:
    """Say something and hear it."""
    async with Threadkeep(URL, api_key=key, user="helm-test") as keep:
        thread = await keep.threads.create(title="helm test")
        for text in SAID:
            await keep.append(thread, text)
        read = [e.payload.text async for e in keep.entries(thread) if isinstance(e, Message)]
        if not (read == await asyncio.wait_for(heard(keep, thread), 30) == SAID):
            sys.exit(f"said {SAID}, read {read}")


def main() -> None:
    """Converse as a tenant of its own, which is switched off afterwards."""
    tenant = platform("POST", "/v1/tenants", name="helm-test")["id"]
    try:
        key = platform("POST", f"/v1/tenants/{tenant}/keys", name="helm-test")["secret"]
        asyncio.run(converse(key))
    finally:
        platform("PATCH", f"/v1/tenants/{tenant}", disabled=True)
    print(f"{len(SAID)} messages appended, read over HTTP and over a socket: fine.")


main()
