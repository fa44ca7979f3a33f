"""A worker in one file: counts the words of a user's message. Any language with HTTP will do.

THREADKEEP_URL=http://127.0.0.1:8080 THREADKEEP_API_KEY=tk_… python examples/worker.py [agent …]
"""

import asyncio
import contextlib
import os
import signal
import sys
import uuid

import aiohttp

NAME = f"words-{os.getpid()}"
HEARTBEAT_SECONDS = 3.0
STEP_SECONDS = float(os.environ.get("WORKER_STEP_SECONDS", "0.2"))


class LostError(Exception):
    """The run is another worker's now, or is to stop: whatever we know of it is void."""


async def call(session: aiohttp.ClientSession, path: str, body: dict) -> dict | None:
    async with session.post(f"/v1/worker/{path}", json=body) as answer:
        if answer.status == 409 and (await answer.json())["error"]["code"] == "stale_fence":
            raise LostError(path)
        answer.raise_for_status()
        return await answer.json() if answer.status == 200 else None


async def beat(session: aiohttp.ClientSession, run: str, fence: int) -> None:
    """Keep the lease; 409 tells that it is lost."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        lease = await call(session, f"runs/{run}/heartbeat", {"fence": fence})
        if lease["cancel_requested"]:
            await call(session, f"runs/{run}/fail", {"fence": fence, "error": "Cancelled."})
            raise LostError("cancelled")


async def play(session: aiohttp.ClientSession, run: dict, fence: int) -> None:
    """The work itself: say what is done, use a tool, stream a message, complete."""

    async def write(kind: str, **payload: object) -> None:
        event = {"type": kind, "payload": payload}
        await call(session, f"runs/{run['id']}/events", {"fence": fence, "events": [event]})
        await asyncio.sleep(STEP_SECONDS)

    content = run["message"]["payload"]["content"] if run["message"] else ""
    tool = {"tool_name": "count_words", "call_id": f"count-{fence}"}
    await write("agent_thinking", thought="Counting words.", progress_percentage=30)
    await write("tool_executing", tool_input={"text": content}, **tool)
    words = len(str(content).split())
    await write("tool_completed", call_id=tool["call_id"], results={"words": words})
    text = f"Your message has {words} words."
    # The same id in every attempt: a message that is there already is not written twice.
    message = f"msg_{uuid.uuid5(uuid.UUID(run['id'][4:]), 'answer').hex}"
    for start in range(0, len(text), 8):
        await write("message_delta", message_id=message, offset=start, text=text[start : start + 8])
    last = {"message_id": message, "content": text}
    body = {"fence": fence, "response": text, "message": last, "usage": {"words": words}}
    await call(session, f"runs/{run['id']}/complete", body)


async def hold(session: aiohttp.ClientSession, claimed: dict) -> None:
    """Work and heartbeats side by side; the first to end ends both."""
    run, fence = claimed["run"], claimed["fence"]
    tasks = [
        asyncio.ensure_future(play(session, run, fence)),
        asyncio.ensure_future(beat(session, run["id"], fence)),
    ]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    try:
        done.pop().result()
    except LostError as exc:
        print(f"lost {run['id']}: {exc}", flush=True)
    else:
        print(f"done {run['id']}", flush=True)


async def main(agents: list[str]) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    headers = {"Authorization": f"Bearer {os.environ['THREADKEEP_API_KEY']}"}
    timeout = aiohttp.ClientTimeout(total=40)
    base = os.environ.get("THREADKEEP_URL", "http://127.0.0.1:8080")
    wish = {"worker": NAME, "wait_seconds": 5} | ({"agents": agents} if agents else {})
    async with aiohttp.ClientSession(base, headers=headers, timeout=timeout) as session:
        while not stopping.is_set():
            try:
                claimed = await call(session, "claim", wish)
                if claimed:
                    await hold(session, claimed)
            except aiohttp.ClientError as exc:
                print(f"trying again: {exc!r}", flush=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), 1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
