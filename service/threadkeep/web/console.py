"""The console: a static page that uses the public API as any other browser would."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import web

from threadkeep.errors import NotFound
from threadkeep.web.route import Access, Route

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere, and no text that becomes markup."""
_TYPES: Final = {
    "index.html": "text/html",
    "console.css": "text/css",
    "console.js": "text/javascript",
    "errors.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "subscription.js": "text/javascript",
    "threadkeep.js": "text/javascript",
    "threads.js": "text/javascript",
    "timeline.js": "text/javascript",
}


async def get_console(request: web.Request) -> web.Response:
    """The page."""
    return _answer(request, "index.html")


async def get_console_file(request: web.Request) -> web.Response:
    """A script, style or image of the page."""
    return _answer(request, request.match_info["file"])


def _answer(request: web.Request, name: str) -> web.Response:
    if name not in _TYPES:
        raise NotFound
    body, tag = _file(name)
    headers = {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
        "ETag": f'"{tag}"',
    }
    if request.headers.get("If-None-Match") == f'"{tag}"':
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=_TYPES[name], charset="utf-8", headers=headers)


@cache
def _file(name: str) -> tuple[bytes, str]:
    body = files("threadkeep.web").joinpath("console", name).read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:32]


CONSOLE: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/",
        handler=get_console,
        access=Access.PUBLIC,
        tag="System",
        summary="The console.",
        answers={200: str},
        answer_type="text/html",
    ),
    Route(
        method="GET",
        path="/console/{file}",
        handler=get_console_file,
        access=Access.PUBLIC,
        tag="System",
        summary="A script, style or image of the console.",
        answers={200: str},
        answer_type="text/plain",
        errors=(NotFound,),
    ),
)
