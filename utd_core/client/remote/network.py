"""The transport over the network: httpx for requests, websockets for the socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from ...errors import Unavailable
from ...version import __version__
from .transport import SocketClosed

USER_AGENT = f"utd-core/{__version__}"

_GOODBYE = 1.0
"""Seconds that the server may take to answer a goodbye."""
_MAX_MESSAGE = 16 * 1024 * 1024
_SECURE = ("https:", "wss:")

MakeContext = Callable[[], ssl.SSLContext]


class NetworkTransport:
    """Real connections.

    `max_connections`: for requests at once; one more waits for a free one. They are kept for `keep_alive` seconds of
    silence. Over TLS requests share one HTTP/2 connection where the server speaks that, unless `http2` is False.
    `ssl_context` makes the context for TLS where other authorities are to be trusted than the usual ones; it is called
    in a thread, for each use anew. Proxies are those of the environment (`HTTPS_PROXY`, ...).
    """

    def __init__(
        self,
        *,
        max_connections: int = 16,
        keep_alive: float = 60.0,
        http2: bool = True,
        ssl_context: MakeContext | None = None,
    ) -> None:
        self._limits = httpx.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=keep_alive
        )
        self._http2 = http2
        self._make_context = ssl_context or httpx.create_ssl_context
        self._socket_context: ssl.SSLContext | None = None

    async def open(self, urls: Collection[str]) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = False
        secure = any(url.startswith(_SECURE) for url in urls)
        if secure:
            # Reading the certificates of all authorities takes a while.
            verify = await asyncio.to_thread(self._make_context)
        return httpx.AsyncClient(
            verify=verify,
            http2=self._http2 and secure,
            limits=self._limits,
            # The link has deadlines of its own, on its clock.
            timeout=None,
            headers={"user-agent": USER_AGENT},
        )

    async def connect(self, url: str) -> NetworkSocket:
        tls: dict[str, Any] = {"ssl": await self._context()} if url.startswith(_SECURE) else {}
        try:
            connection = await connect(
                url,
                open_timeout=None,
                ping_interval=None,
                close_timeout=_GOODBYE,
                max_size=_MAX_MESSAGE,
                compression=None,
                user_agent_header=USER_AGENT,
                **tls,
            )
        except InvalidStatus as error:
            raise Unavailable(
                f"{url} answered {error.response.status_code} instead of opening a socket; "
                "is it an engine's, and do proxies before it let WebSockets through?",
                details={"status": error.response.status_code},
            ) from error
        except (OSError, EOFError, InvalidHandshake, WebSocketException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"no socket could be opened to {url}: {reason}; is the server there?") from error
        return NetworkSocket(connection)

    async def aclose(self) -> None:
        """Sockets and clients are closed by those who opened them."""

    async def _context(self) -> ssl.SSLContext:
        # Not that of the requests: it offers HTTP/2 to the server, over which there is no WebSocket.
        if self._socket_context is None:
            self._socket_context = await asyncio.to_thread(self._make_context)
        return self._socket_context


class NetworkSocket:
    """A WebSocket of the `websockets` library."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> str:
        try:
            message = await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from None
        # Nobody sends bytes here; whatever they are, it is no message.
        return message if isinstance(message, str) else ""

    async def aclose(self) -> None:
        try:
            await self._connection.close()
        finally:
            with suppress(RuntimeError):
                self._connection.transport.abort()


def _closed(error: ConnectionClosed) -> SocketClosed:
    said = error.rcvd
    return SocketClosed() if said is None else SocketClosed(said.code, said.reason)
