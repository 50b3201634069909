"""A server and its clients in virtual time, and a way between them that fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Self

import httpx

from tests.client.world import World
from utd_core.client.remote import RemoteLink, Socket, SocketClosed
from utd_core.concurrency import Clock
from utd_core.errors import Unavailable

Answer = Callable[[httpx.Request], httpx.Response | Exception | None]


class FaultyTransport:
    """Passes on to another transport, but for what a test has it do.

    `answer(request)` may answer or raise in the server's place. `lost_answers`: so many requests are carried out, and
    their answers lost. `unanswered`: requests are never answered. `away`: nobody is reached. `silent`: open sockets say
    nothing more, in either direction. `late`: seconds that what a socket says takes. `frames` are handed to the client
    before anything else.
    """

    def __init__(self, inner: Any, clock: Clock) -> None:
        self.clock = clock
        self._inner = inner
        self.answer: Answer | None = None
        self.lost_answers = 0
        self.unanswered = False
        self.away = False
        self.silent = False
        self.late = 0.0
        self.frames: list[str] = []
        self.requests: list[httpx.Request] = []
        self.sockets: list[FaultySocket] = []

    async def open(self, urls: Collection[str]) -> httpx.AsyncClient:
        inner: httpx.AsyncClient = await self._inner.open(urls)
        return httpx.AsyncClient(transport=_Requests(self, inner), timeout=None)

    async def connect(self, url: str) -> Socket:
        if self.away:
            raise Unavailable("nobody is there")
        socket = FaultySocket(self, await self._inner.connect(url))
        self.sockets.append(socket)
        return socket

    async def aclose(self) -> None:
        await self._inner.aclose()

    def cut(self, code: int = 1006) -> None:
        """End every socket, as the server would with a code."""
        for socket in self.sockets:
            socket.cut(code)

    def sent(self, path: str) -> list[httpx.Request]:
        """The requests to a path."""
        return [request for request in self.requests if request.url.path.endswith(path)]


class _Requests(httpx.AsyncBaseTransport):
    def __init__(self, faults: FaultyTransport, inner: httpx.AsyncClient) -> None:
        self._faults = faults
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        faults = self._faults
        faults.requests.append(request)
        if faults.away:
            raise httpx.ConnectError("nobody is there")
        if faults.unanswered:
            await asyncio.get_running_loop().create_future()
        said = None if faults.answer is None else faults.answer(request)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        response = await self._inner.send(request)
        if faults.lost_answers:
            faults.lost_answers -= 1
            raise httpx.RemoteProtocolError("the connection broke")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class FaultySocket:
    def __init__(self, faults: FaultyTransport, inner: Socket) -> None:
        self._faults = faults
        self._inner = inner
        self._cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def send(self, text: str) -> None:
        if not self._faults.silent:
            await self._inner.send(text)

    async def receive(self) -> str:
        while True:
            if self._faults.frames:
                return self._faults.frames.pop(0)
            receiving = asyncio.ensure_future(self._inner.receive())
            first: list[asyncio.Future[Any]] = [receiving, self._cut]
            try:
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                if self._cut.done():
                    raise SocketClosed(self._cut.result(), "as the test says")
                if self._faults.late:
                    await self._faults.clock.sleep(self._faults.late)
                if not self._faults.silent:
                    return receiving.result()
                receiving.exception()
            finally:
                receiving.cancel()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def cut(self, code: int) -> None:
        if not self._cut.done():
            self._cut.set_result(code)


class RemoteWorld(World):
    """The client tests' world with a way between clients and server that can be hurt (`way_between`)."""

    def __init__(self, **options: Any) -> None:
        super().__init__("remote", **options)
        self.between = FaultyTransport(self.transport, self.clock)

    def link(self, **options: Any) -> RemoteLink:
        """A link over that way."""
        link = self.new_link(**{"transport": self.between, **options})
        assert isinstance(link, RemoteLink)
        return link

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
