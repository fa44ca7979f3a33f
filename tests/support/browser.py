"""Chromium without a screen, driven by the WebDriver protocol (W3C) through chromedriver."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from typing_extensions import override

from threadkeep.embedded.unprivileged import Launcher

from .programs import Program, free_port
from .waiting import until

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which the protocol hands out elements."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,900",
)
_SECONDS = 30.0


class Driver(Program):
    """One chromedriver; the browsers that it starts end with it."""

    def __init__(self, program: str, folder: Path) -> None:
        super().__init__("chromedriver", folder)
        self._program = program
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @override
    def command(self) -> list[str]:
        return Launcher().command(self._program, f"--port={self._port}", parent_death="TERM")

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HOME": str(self.folder), "TMPDIR": str(self.folder)}

    @override
    def is_ready(self) -> bool:
        return "was started successfully" in self.output()


class Page:
    """One window of one browser."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        await self._call("POST", "/url", {"url": url})

    async def address(self) -> str:
        """Where the page is, with its fragment."""
        return str(await self._call("GET", "/url"))

    async def run(self, script: str, *arguments: object) -> Any:
        """The value of a function body in the page."""
        return await self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    async def text(self, selector: str) -> str:
        """The text of the first element; empty when there is none."""
        script = "return document.querySelector(arguments[0])?.textContent ?? ''"
        return str(await self.run(script, selector))

    async def texts(self, selector: str) -> list[str]:
        """The texts of all elements."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(await self.run(script, selector))

    async def click(self, selector: str) -> None:
        """Click as a person would: it must be seen, and not be covered."""
        await self._call("POST", f"/element/{await self._find(selector)}/click", {})

    async def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        element = await self._find(selector)
        await self._call("POST", f"/element/{element}/value", {"text": text})

    async def shows(self, selector: str, text: str, seconds: float = 10.0) -> None:
        """Wait until an element holds a text."""

        async def is_there() -> bool:
            return any(text in each for each in await self.texts(selector))

        await until(is_there, seconds, what=f"{text!r} in {selector}")

    async def complaints(self) -> list[str]:
        """Errors and warnings of the browser's console so far: also broken policies."""
        entries = await self._call("POST", "/se/log", {"type": "browser"})
        return [str(entry["message"]) for entry in entries]

    async def screenshot(self, path: Path) -> None:
        """A picture of what is seen."""
        path.write_bytes(base64.b64decode(await self._call("GET", "/screenshot")))

    async def _find(self, selector: str) -> str:
        where = {"using": "css selector", "value": selector}
        return str((await self._call("POST", "/element", where))[_ELEMENT])

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        async with self._session.request(method, self._base + path, json=body) as answer:
            value = (await answer.json())["value"]
        if answer.status >= 400:
            raise AssertionError(f"{path}: {value['error']}: {value['message']}")
        return value


@asynccontextmanager
async def browser(programs: tuple[str, str], folder: Path) -> AsyncIterator[Page]:
    """A new browser with nothing in it, closed at the end."""
    chromium, chromedriver = programs
    driver = Driver(chromedriver, folder)
    await asyncio.to_thread(driver.start)
    limit = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with aiohttp.ClientSession(driver.url, timeout=limit) as session:
            options = {
                "binary": chromium,
                "args": [*_FLAGS, f"--user-data-dir={folder / 'profile'}"],
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "WARNING"}}
            body = {"capabilities": {"alwaysMatch": wanted}}
            async with session.post("/session", json=body) as answer:
                value = (await answer.json())["value"]
                assert answer.status == 200, value
            base = f"/session/{value['sessionId']}"
            try:
                yield Page(session, base)
            finally:
                async with session.delete(base):
                    pass
    finally:
        await asyncio.to_thread(driver.stop)
