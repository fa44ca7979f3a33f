"""A worker in one file: counts the words of a user's message. Any language with HTTP will do.

THREADKEEP_URL=http://127.0.0.1:8080 THREADKEEP_API_KEY=tk_… python examples/worker.py [agent …]
"""

import asyncio
import os
import signal
import sys
import uuid

from threadkeep.client import Conflict, Threadkeep, ThreadkeepError

HEARTBEAT_SECONDS = 3.0
STEP_SECONDS = float(os.environ.get("WORKER_STEP_SECONDS", "0.2"))


class Held:
    """A claimed run. Every call shows the fence: `Conflict` tells that the run is another's now."""

    def __init__(self, keep: Threadkeep, claim: dict) -> None:
        self.keep, self.run, self.fence = keep, claim["run"], claim["fence"]

    async def call(self, what: str, **body: object) -> dict:
        """Ask or tell something about the run."""
        path = f"/v1/worker/runs/{self.run['id']}/{what}"
        return await self.keep.call("POST", path, body={"fence": self.fence, **body})

    async def write(self, kind: str, **payload: object) -> None:
        """Add an event to the thread."""
        await self.call("events", events=[{"type": kind, "payload": payload}])
        await asyncio.sleep(STEP_SECONDS)

    async def beat(self) -> None:
        """Keep the lease until the run is cancelled."""
        lease = await self.call("heartbeat")
        while not lease["cancel_requested"]:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            lease = await self.call("heartbeat")
        await self.call("fail", error="Cancelled.")


async def work(held: Held) -> None:
    """Say what is done, use a tool, stream a message, complete."""
    content = held.run["message"]["payload"]["content"] if held.run["message"] else ""
    tool = {"tool_name": "count_words", "call_id": f"count-{held.fence}"}
    await held.write("agent_thinking", thought="Counting words.", progress_percentage=30)
    await held.write("tool_executing", tool_input={"text": content}, **tool)
    words = len(str(content).split())
    await held.write("tool_completed", call_id=tool["call_id"], results={"words": words})
    text = f"Your message has {words} words."
    # The same id in every attempt: a message that is there already is not written twice.
    message = f"msg_{uuid.uuid5(uuid.UUID(held.run['id'][4:]), 'answer').hex}"
    for start in range(0, len(text), 8):
        piece = text[start : start + 8]
        await held.write("message_delta", message_id=message, offset=start, text=piece)
    last = {"message_id": message, "content": text}
    await held.call("complete", response=text, message=last, usage={"words": words})


async def hold(held: Held) -> None:
    """Work and heartbeats side by side; the first to end ends both."""
    tasks = [asyncio.ensure_future(work(held)), asyncio.ensure_future(held.beat())]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    try:
        done.pop().result()
        print(f"done {held.run['id']}", flush=True)
    except Conflict as exc:
        print(f"lost {held.run['id']}: {exc}", flush=True)


async def main(agents: list[str]) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    url = os.environ.get("THREADKEEP_URL", "http://127.0.0.1:8080")
    wish = {"worker": f"words-{os.getpid()}", "wait_seconds": 5}
    if agents:
        wish["agents"] = agents
    async with Threadkeep(url, api_key=os.environ["THREADKEEP_API_KEY"]) as keep:
        while not stopping.is_set():
            try:
                if claim := await keep.call("POST", "/v1/worker/claim", body=wish):
                    await hold(Held(keep, claim))
            except ThreadkeepError as exc:
                print(f"trying again: {exc!r}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
