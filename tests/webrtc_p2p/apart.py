"""webrtc_p2p with its halves in two processes: connections here, the control half in `far_control`, TCP between them.

`SPEC` is what the contract suite takes for a backend: `utd contract tests.webrtc_p2p.apart:SPEC`, with the port of the
far process in the environment (`UTD_FAR_CONTROL`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

from utd_core.concurrency import BoundedQueue, Overflow, SystemClock, TaskScope
from utd_core.errors import Closed, ErrorCode, InvalidInput, NotFound
from utd_core.media.backend import BackendSpec, ConnectOptions, JoinTicket, MediaBackend
from utd_core.media.capabilities import Capabilities
from utd_core.media.events import Notification
from utd_core.media.faults import Fault, read_parameters
from utd_core.media.forwarding import ForwardingControl
from utd_core.server.cluster.messages import Refusal
from utd_core.testing.signalling import HOST, TcpSignalling
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.capabilities import CAPABILITIES, FAULTS
from utd_webrtc_p2p.connection import P2PConnection
from utd_webrtc_p2p.faults import DEFAULTS, interrupt

from .far_control import read, write

PORT = "UTD_FAR_CONTROL"
_OF_CONNECTIONS = {Fault.SIGNAL_DROP, Fault.FULL_RECONNECT}


class FarControl(ForwardingControl):
    """Asks the other process. `signalling_port` once it is open."""

    def __init__(self) -> None:
        self.signalling_port = 0
        self._scope = TaskScope("way to the far control half")
        self._opening = asyncio.Lock()
        self._ready = asyncio.Event()
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._streams: list[BoundedQueue[Notification]] = []
        self._writer: asyncio.StreamWriter | None = None
        self._closed = False

    async def open(self) -> None:
        self.check_open()
        async with self._opening:
            if self._writer is None:
                await self._scope.open()
                reader, self._writer = await asyncio.open_connection(HOST, int(os.environ[PORT]))
                self._scope.start(self._listen, reader)
        await self._ready.wait()
        self.check_open()

    async def aclose(self) -> None:
        self._closed = True
        self._ready.set()
        for stream in self._streams:
            stream.close()
        for waiter in self._asked.values():
            if not waiter.done():
                waiter.set_exception(Closed("the backend was closed"))
        if self._writer is not None:
            self._writer.close()
        await self._scope.aclose()

    def check_open(self) -> None:
        if self._closed:
            raise Closed("the backend was closed")

    async def forward(self, method: str, *arguments: Any, **named: Any) -> Any:
        """The other process answers `inject` of its backend, too."""
        await self.open()
        assert self._writer is not None
        number = next(self._numbers)
        waiter = self._asked[number] = asyncio.get_running_loop().create_future()
        write(self._writer, (number, method, arguments, named))
        try:
            answer = await waiter
        finally:
            del self._asked[number]
        if isinstance(answer, Refusal):
            raise answer.as_error()
        return answer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            _, self.signalling_port = await read(reader)
            self._ready.set()
            while True:
                number, said = await read(reader)
                if number is None:
                    for stream in self._streams:
                        stream.put(said)
                elif (waiter := self._asked.get(number)) is not None and not waiter.done():
                    waiter.set_result(said)

    def notifications(self) -> AsyncIterator[Notification]:
        self.check_open()
        stream: BoundedQueue[Notification] = BoundedQueue(10_000, Overflow.DROP_OLDEST)
        self._streams.append(stream)
        return aiter(stream)


class ApartBackend(MediaBackend):
    """The two halves as one backend again; whoever connects is not told that they are apart."""

    name: ClassVar[str] = "webrtc_p2p"
    capabilities: ClassVar[Capabilities] = replace(CAPABILITIES, signalling=False)
    faults: ClassVar[frozenset[Fault]] = FAULTS

    def __init__(self) -> None:
        self._near = P2PBackend({"loopback": "always"}, SystemClock())
        self._far = FarControl()

    @property
    def control(self) -> FarControl:
        return self._far

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> P2PConnection:
        self._near.check_open()
        await self._far.open()
        signalling = await TcpSignalling.open(self._far.signalling_port)
        return await self._near.connect(ticket, replace(options or ConnectOptions(), signalling=signalling))

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        self._near.check_open()
        if fault not in _OF_CONNECTIONS:
            await self._far.forward("inject", fault, room, identity, **parameters)
            return
        seconds = read_parameters(fault, parameters, DEFAULTS)["seconds"]
        if identity is None:
            raise InvalidInput("this fault happens to one participant; give its identity")
        connections = self._near.connections(room, identity)
        if not connections:
            raise NotFound(f"{identity!r} is not connected", code=ErrorCode.PARTICIPANT_NOT_FOUND)
        for connection in connections:
            interrupt(self._near, connection, seconds, whole=fault is Fault.FULL_RECONNECT)

    async def aclose(self) -> None:
        await self._near.aclose()
        await self._far.aclose()


SPEC = BackendSpec(
    name=ApartBackend.name,
    summary="webrtc_p2p with its halves in two processes",
    capabilities=ApartBackend.capabilities,
    create=lambda settings, clock: ApartBackend(),
    faults=FAULTS,
)
