"""HTTP, SSE and WebSocket: the only code that knows `aiohttp.web`."""
