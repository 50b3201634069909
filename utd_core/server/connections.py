"""uvicorn's HTTP connection, with an end to patience.

uvicorn waits for ever for a request that never becomes whole, for a client that never reads, and takes as many
connections as there are file descriptors. Here

- a request's head has `head_timeout` seconds and 64 KiB;
- what is no HTTP is refused in the one format that the server's errors have;
- an answer that nobody reads is cut off after `write_timeout` seconds;
- what is left of a body that was refused is thrown away for `head_timeout` seconds, so that its client sees the answer;
- one address holds `connections_per_address` connections; those of trusted proxies are not counted, as they bring many
  people's, which the application counts by itself.

How long a body may take is the application's affair, whatever it is served by (`patience.py`). Event sockets leave here
when they are opened; they have rules of their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app_settings import AppSettings
from .patience import LINGERS
from .proxies import TrustedProxies
from .sites import site_of
from .turnstile import Turnstile

MOST_HEAD = 65_536
"""Bytes of a request's line and headers."""

_TOO_MANY = (
    b"429 Too Many Requests",
    b'{"message":"your address has as many connections as it may; close one, or wait","code":"rate_limited"}',
    b"retry-after: 1\r\n",
)
_TOO_LONG = (
    b"431 Request Header Fields Too Large",
    b'{"message":"line and headers of a request may have 65536 bytes; send less","code":"too_large"}',
)
_NO_REQUEST = (
    b"400 Bad Request",
    b'{"message":"this is no HTTP request; look at its line, its headers and its framing","code":"invalid_input"}',
)
_LINE_ENDS = 4
"""Bytes that a header takes besides its name and its value, at the least."""
_DEFAULT = AppSettings()
_EXTENSIONS: dict[str, dict[object, object]] = {LINGERS: {}}


class _HeadTooLong(Exception):
    """Stops the parser; nobody outside hears of it."""


class HttpConnection(HttpToolsProtocol):
    """One connection, by the defaults of `AppSettings` but with no limit for one address; `limited` makes others."""

    head_timeout: ClassVar[float] = _DEFAULT.head_timeout
    write_timeout: ClassVar[float] = _DEFAULT.write_timeout
    per_address: ClassVar[int | None] = None
    draining: ClassVar[bool] = False
    """Whether each answer ends its connection, so that clients and load balancers take their next request elsewhere."""
    proxies: ClassVar[TrustedProxies] = TrustedProxies()
    addresses: ClassVar[Counter[str]] = Counter()
    """Connections that are open, by the site they come from; only kept where there is a limit."""
    turnstile: ClassVar[Turnstile | None] = None
    """Where those wait who want to become a socket; None: they become it at once."""

    _waiting: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _address = ""
    _in_head = False
    _head_bytes = 0
    _arrived = 0
    """Bytes that are being looked at just now."""
    _is_too_long = False
    _has_left = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self.per_address is not None and address and not self.proxies.trusts(address):
            site = site_of(address)
            if self.addresses[site] >= self.per_address:
                self._refuse(*_TOO_MANY)
                return
            self._address = site
            self.addresses[site] += 1
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._arrived = len(data)
        super().data_received(data)
        if self._has_left or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD:
                self._refuse(*_TOO_LONG)
                return
        # Afterwards, as most requests come whole and need no timer. What comes while nothing is asked for (the rest of
        # a body that nobody wanted) is waited for no longer than a head.
        if self._in_head or self._is_idle:
            self._expect_head()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()
        self.scope["extensions"] = _EXTENSIONS

    def on_headers_complete(self) -> None:
        # Few requests come near the limit, and their heads need not be added up.
        if self._head_bytes + self._arrived > MOST_HEAD and self._size_of_head() > MOST_HEAD:
            self._is_too_long = True
            raise _HeadTooLong
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()
        if self.draining:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(*(_TOO_LONG if self._is_too_long else _NO_REQUEST))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._cut_unless_read()
        elif self.cycle.more_body:
            # Also where nothing comes any more of a body that was refused.
            self._expect_head()

    def handle_websocket_upgrade(self) -> None:
        self._has_left = True
        self._let_go()
        if self.turnstile is None:
            self._become_socket()
            return
        # What the client says before it was answered would be taken for another request.
        self.transport.pause_reading()
        self.turnstile.pass_through(self._become_socket)

    def _become_socket(self) -> None:
        if self.transport.is_closing():
            return
        super().handle_websocket_upgrade()
        self.transport.resume_reading()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._cut_unless_read()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None and not self.transport.is_closing():
            self._writing.cancel()
            self._writing = None

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    @property
    def _waits_for_body(self) -> bool:
        """Whether what comes next belongs to the one request under way, of whose answer nothing was sent."""
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE_ENDS for name, value in self.headers)

    def _expect_head(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.head_timeout, self._lose_patience)

    def _lose_patience(self) -> None:
        self._waiting = None
        self.transport.close()
        self._cut_unless_read()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _cut_unless_read(self) -> None:
        """A connection that is closing waits until its client has read everything; not for ever."""
        if self._writing is None and self.transport.get_write_buffer_size():
            self._writing = self.loop.call_later(self.write_timeout, self.transport.abort)

    def _refuse(self, status: bytes, body: bytes, headers: bytes = b"") -> None:
        """Answer without having read the request, and close."""
        in_head, self._in_head = self._in_head, False
        self._stop_waiting()
        if not self._is_idle:
            if in_head or not self._waits_for_body:
                # Another request of this connection is being answered; nothing may stand in the middle of that.
                self.transport.abort()
                return
            # The application has begun with this one, and hears that nobody waits for its answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, len(body))
        self.transport.write(head + headers + b"connection: close\r\n\r\n" + body)
        self.transport.close()
        self._cut_unless_read()

    def _let_go(self) -> None:
        """This is no HTTP connection any more."""
        self._stop_waiting()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._address:
            self.addresses[self._address] -= 1
            if not self.addresses[self._address]:
                del self.addresses[self._address]
            self._address = ""


def limited(settings: AppSettings) -> type[HttpConnection]:
    """The class of one server's connections, for `uvicorn.Config(http=...)`."""
    given: dict[str, Any] = {
        "head_timeout": settings.head_timeout,
        "write_timeout": settings.write_timeout,
        "per_address": settings.connections_per_address,
        "proxies": TrustedProxies(settings.trusted_proxies),
        "addresses": Counter(),
        "turnstile": Turnstile(),
    }
    return type("LimitedHttpConnection", (HttpConnection,), given)
