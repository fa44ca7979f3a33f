"""Answers to what is no HTTP: as documented as any other, and silent about the software."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import http_exceptions, web
from typing_extensions import override

from threadkeep.domain import ids
from threadkeep.errors import InvalidRequest, ThreadkeepError
from threadkeep.web.errors import error_response
from threadkeep.web.responses import SAFE_HEADERS, SERVER


class RequestHandler(web.RequestHandler):
    """One connection. What it cannot parse never reaches the application's middleware."""

    __slots__ = ("answered",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answered: Callable[[], None] | None = None
        """Hears that an answer has been written, where somebody asked for it."""

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs it, and refuses a second answer
        answer = error_response(_reason(status, exc), request_id := ids.new_id())
        answer.headers.update(SAFE_HEADERS, Server=SERVER)
        answer.headers["X-Request-Id"] = request_id
        answer.force_close()
        return answer


def _reason(status: int, exc: BaseException | None) -> ThreadkeepError:
    if status >= 500:
        return ThreadkeepError()
    if isinstance(exc, http_exceptions.LineTooLong):
        return InvalidRequest("A line of the request's head is too long.", malformed=True)
    return InvalidRequest("This is not well-formed HTTP.", malformed=True)
