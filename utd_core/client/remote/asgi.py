"""The transport to an application in this process: no port, no thread, and time may be virtual.

    transport = ASGITransport(engine.asgi(project))
    link = RemoteLink(app_id, app_key, base_url="http://engine", transport=transport)

Everything between a client and its server is played but the bytes on the wire: requests are answered by the application
as a server would call it, and go on when their caller gives up; a socket is a pair of pipes that hold a few messages,
so that whoever sends too fast has to wait. The application's lifespan is not run: open what it serves yourself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

import httpx

from ...concurrency import BoundedQueue, Overflow, TaskScope
from ...errors import Closed, Unavailable
from .transport import SocketClosed

T = TypeVar("T")

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_HELD = 64
"""Messages that each direction of a socket holds."""
_NORMAL, _ABNORMAL = 1000, 1006
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class ASGITransport:
    """Requests and sockets for `app`. `client`: the address that the application sees."""

    def __init__(self, app: ASGIApp, *, client: tuple[str, int] = ("127.0.0.1", 1)) -> None:
        self._app = app
        self._client = client
        self._scope = TaskScope("ASGITransport")

    async def open(self, urls: Collection[str]) -> httpx.AsyncClient:
        """Raises `Closed` after `aclose`."""
        await self._scope.open()
        return httpx.AsyncClient(transport=_Requests(self._run, self._client), timeout=None)

    async def connect(self, url: str) -> AppSocket:
        """Raises `Closed` after `aclose`."""
        await self._scope.open()
        socket = AppSocket()
        self._scope.start(socket.serve, self._app, _scope_of("websocket", url, self._client))
        try:
            accepted = await socket.accepted()
        except BaseException:
            await socket.aclose()
            raise
        if not accepted:
            raise Unavailable(f"the application refuses sockets at {url}; is it an engine's?")
        return socket

    async def aclose(self) -> None:
        """End every request and socket. Idempotent."""
        await self._scope.aclose()

    def _run(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        try:
            self._scope.start(function, self._app, *args)
        except Closed as error:
            raise httpx.ConnectError("the transport was closed") from error


class _Requests(httpx.AsyncBaseTransport):
    """What an `httpx.AsyncClient` hands its requests to. Answers are whole before they are handed back."""

    def __init__(self, run: Callable[..., None], client: tuple[str, int]) -> None:
        self._run = run
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        scope = _scope_of("http", str(request.url), self._client)
        scope |= {
            "method": request.method,
            "http_version": "1.1",
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        exchange = _Exchange(await request.aread())
        self._run(exchange.serve, scope)
        try:
            await exchange.done.wait()
        finally:
            exchange.hang_up()
        if exchange.status is None:
            raise httpx.RemoteProtocolError("the application ended without an answer")
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body, request=request)


class _Exchange:
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.done = asyncio.Event()
        self._request: bytes | None = body
        self._hung_up = asyncio.Event()

    async def serve(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            if not self.done.is_set():
                self.status = None
                self.done.set()

    def hang_up(self) -> None:
        """Nobody waits for more."""
        self._hung_up.set()

    async def _receive(self) -> Message:
        body, self._request = self._request, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self.done.set()


class AppSocket:
    """A WebSocket whose other end is an application."""

    def __init__(self) -> None:
        self._to_app: _Pipe[Message] = _Pipe(_HELD)
        self._to_client: _Pipe[str] = _Pipe(_HELD)
        self._settled = asyncio.Event()
        self._accepted = False
        self._closing: SocketClosed | None = None

    async def accepted(self) -> bool:
        """Wait for the application's decision."""
        await self._settled.wait()
        return self._accepted

    async def send(self, text: str) -> None:
        await self._to_app.put({"type": "websocket.receive", "text": text})
        if self._closing is not None:
            raise self._closing

    async def receive(self) -> str:
        try:
            return await self._to_client.get()
        except Closed:
            raise self._closing or SocketClosed() from None

    async def aclose(self) -> None:
        self._end(SocketClosed(_NORMAL))

    async def serve(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        """Run the application's end."""
        await self._to_app.put({"type": "websocket.connect"})
        try:
            await app(scope, self._to_app.get, self._take)
        finally:
            self._end(SocketClosed(_ABNORMAL))

    async def _take(self, message: Message) -> None:
        if self._closing is not None:
            raise OSError("the client has gone")
        match message["type"]:
            case "websocket.accept":
                self._accepted = True
                self._settled.set()
            case "websocket.send":
                text = message.get("text")
                await self._to_client.put(message["bytes"].decode() if text is None else text)
            case "websocket.close":
                self._end(SocketClosed(message.get("code", _NORMAL), message.get("reason") or ""))

    def _end(self, closed: SocketClosed) -> None:
        """From now on nothing is sent, either way. What was sent before is still received. Idempotent."""
        if self._closing is None:
            self._closing = closed
            self._settled.set()
            self._to_client.close()
            self._to_app.close({"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason})


class _Pipe(Generic[T]):
    """Holds a few messages; who sends more waits until one was taken."""

    def __init__(self, capacity: int) -> None:
        self._held: BoundedQueue[T] = BoundedQueue(capacity, Overflow.CLOSE)
        self._last: T | None = None
        self._moved = asyncio.Event()

    async def put(self, item: T) -> None:
        """After the end it is dropped."""
        while len(self._held) >= self._held.capacity and not self._held.closed:
            self._moved.clear()
            await self._moved.wait()
        self._held.put(item)

    async def get(self) -> T:
        """The next message; after the last one the farewell, again and again. Raises `Closed` without one."""
        try:
            return await self._held.get()
        except Closed:
            if self._last is None:
                raise
            return self._last
        finally:
            self._moved.set()

    def close(self, farewell: T | None = None) -> None:
        self._last = farewell
        self._held.close()
        self._moved.set()


def _scope_of(type: str, url: str, client: tuple[str, int]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "type": type,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(b"host", parts.netloc.encode())],
        "server": (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)),
        "client": client,
        "subprotocols": [],
        "extensions": {},
    }
