"""Structured logs on standard output: JSON, or text on a terminal.

`event` is a constant, facts are fields. Never message bodies, tokens or addresses with
passwords.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

FLUSH_SECONDS: Final = 0.1
"""How long a line of the hot path may wait for others."""

_configured: Final[list[logging.StreamHandler[Any]]] = []
"""The handler that writes JSON, where one does."""
_encode: Final = msgspec.json.Encoder().encode


def configure(*, level: str = "info", fmt: str = "auto") -> None:
    """Send structlog's and the standard library's records through one handler."""
    text = fmt == "text" or (fmt == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        # Plain: a richer traceback shows local variables, hence credentials and conversations.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [
            structlog.processors.format_exc_info,
            _first_keys,
            structlog.processors.JSONRenderer(),
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    _configured[:] = [] if text else [handler]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class Lines:
    """Info lines of the hot path, without processors and written many at once.

    They cost a tenth of logged ones. Only for lines that carry their context themselves.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: list[bytes] = []

    def write(self, event: str, **fields: object) -> None:
        """Write within `FLUSH_SECONDS`; from the event loop only."""
        if not logging.getLogger().isEnabledFor(logging.INFO):
            return
        handler = _json_handler()
        if handler is None:
            get_logger(self._name).info(event, **fields)
            return
        line = {
            "message": event,
            "timestamp": _now(),
            "severity": "info",
            "logger": self._name,
            **fields,
        }
        self._waiting.append(_encode(line))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits; to be called once more at the end."""
        lines, self._waiting = self._waiting, []
        if lines and (handler := _json_handler()) is not None:
            handler.stream.write(b"\n".join(lines).decode() + "\n")
            handler.stream.flush()


def _json_handler() -> logging.StreamHandler[Any] | None:
    return _configured[0] if _configured else None


def _now() -> str:
    return datetime.now(UTC).isoformat()[:-6] + "Z"


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def _first_keys(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put first what the operator's log has first: message, timestamp, severity."""
    head = {
        "message": event.pop("event", ""),
        "timestamp": event.pop("timestamp", ""),
        "severity": event.pop("level", ""),
    }
    return {**head, **event}
