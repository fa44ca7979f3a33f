"""Only a request about whose end no two parsers can disagree is plain."""

from __future__ import annotations

import pytest
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from threadkeep.web.plain_request import HEAD_BYTES, plain_request

_POST = b"POST /v1/a?b=c HTTP/1.1\r\nHost: a\r\n"
_TYPICAL = _POST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_a_typical_request_is_plain() -> None:
    request = plain_request(_TYPICAL)

    assert request is not None
    assert (request.method, request.target, request.body) == ("POST", "/v1/a?b=c", b"{}")
    assert request.missing == 0
    assert request.headers == {
        "host": "a",
        "content-type": "application/json",
        "content-length": "2",
    }


@pytest.mark.parametrize("missing", [1, 2])
def test_a_body_may_come_later(missing: int) -> None:
    request = plain_request(_TYPICAL[:-missing])

    assert request is not None
    assert request.missing == missing


def test_one_without_a_body_is_plain() -> None:
    assert plain_request(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n") is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        _TYPICAL[:-3],
        _TYPICAL + b"G",
        _TYPICAL + _TYPICAL,
        b"\r\n" + _TYPICAL,
        _TYPICAL.replace(b"\r\n", b"\n"),
        _TYPICAL.replace(b"POST", b"post"),
        _TYPICAL.replace(b"POST", b"CONNECT"),
        _TYPICAL.replace(b"1.1", b"1.0"),
        _TYPICAL.replace(b"/v1/a", b"http://a/v1/a"),
        _TYPICAL.replace(b"/v1/a", b"/v1/\xc3\xa4"),
        _TYPICAL.replace(b"Host: a\r\n", b""),
        _TYPICAL.replace(b"Host: a\r\n", b"Host: a\r\nHost: a\r\n"),
        _TYPICAL.replace(b"Host: a", b"Host : a"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\n b"),
        _TYPICAL.replace(b"Host: a", b"Host: a\x00b"),
        _TYPICAL.replace(b"Host: a", b"Host: a\rX: b"),
        _TYPICAL.replace(b"Host: a", b"Host: \xff"),
        _TYPICAL.replace(b"Length: 2", b"Length: 02"),
        _TYPICAL.replace(b"Length: 2", b"Length: +2"),
        _TYPICAL.replace(b"Length: 2", b"Length: 2 "),
        _TYPICAL.replace(b"Length: 2", b"Length: 2, 2"),
        _TYPICAL.replace(b"Length: 2", b"Length: -2"),
        _TYPICAL.replace(b"Length: 2", b"Length: 2000000000"),
        _TYPICAL.replace(b"Length: 2", b"Length: 2\r\nContent-Length: 2"),
        _TYPICAL.replace(b"Length: 2", b"Length: 2\r\ncontent-length: 2"),
        _TYPICAL.replace(b"Content-Length: 2", b"X-Length: 2"),
        _TYPICAL.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nTransfer-Encoding: identity"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nExpect: 100-continue"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nUpgrade: websocket"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nConnection: close"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nConnection: keep-alive, upgrade"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nProxy-Connection: close"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nSec-WebSocket-Key1: a"),
        _TYPICAL.replace(b"Host: a", b"Host: a\r\nX: " + b"a" * HEAD_BYTES),
        _TYPICAL.replace(b"Host: a", b"Host: a" + b"".join(b"\r\nX%d: a" % n for n in range(98))),
    ],
)
def test_what_leaves_a_doubt_is_not_plain(data: bytes) -> None:
    assert plain_request(data) is None


_NAMES = st.sampled_from(
    [
        *("X-A", "Accept", "Content-Length", "content-length", "TE", "Connection"),
        *("Proxy-Connection", "Sec-WebSocket-Key1", "Transfer-Encoding", "Upgrade"),
    ]
)
_VALUES = st.one_of(
    st.sampled_from(["0", "2", "3", "keep-alive", "close", "chunked", " 2", "2 "]),
    st.text(st.characters(max_codepoint=255), max_size=8),
)


class _Sink:
    """What aiohttp's parser asks of a connection."""

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """As above."""


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=4), st.binary(max_size=6), st.integers(-1, 8))
@example([], b"{}", 2)
@example([], b"{", 2)
async def test_aiohttp_finds_the_same_end(
    headers: list[tuple[str, str]], body: bytes, length: int
) -> None:
    """Every plain request is one whole request to aiohttp's parser too."""
    if length >= 0:
        headers = [*headers, ("Content-Length", str(length))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    data = _POST + lines.encode("latin-1") + b"\r\n" + body

    request = plain_request(data)

    if request is not None:
        parser = HttpRequestParser(_Sink(), None, 2**16, auto_decompress=False)  # type: ignore[arg-type]
        ((message, payload),), is_upgraded, rest = parser.feed_data(data)
        assert (message.method, message.path) == (request.method, request.target)
        assert {name.lower(): value for name, value in message.headers.items()} == request.headers
        assert (payload.is_eof(), is_upgraded, rest) == (not request.missing, False, b"")
        assert not message.should_close
