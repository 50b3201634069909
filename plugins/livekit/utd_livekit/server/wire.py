"""A wire to a server, which can break and hangs up when it is closed.

The native library keeps HTTP connections for later in a pool that nothing else empties. Over a wire of its own, what a
test opened is closed with the test.

It is made of bare sockets, not of streams: a stream to somebody who has hung up loses what he said before that, and a
goodbye that does not arrive leaves him in the room for 20 s.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import anyio

from utd_core.concurrency import Closeable

from .diversion import END_OF_HEAD, Diversion
from .line import Line

Change = Callable[[bytes], bytes]

_CHUNK = 65_536
_LAST_WORDS = 1.0
"""Seconds in which a web socket ends whose caller has hung up."""
_LONGEST_HEAD = 1_048_576
"""Bytes, of which a ticket may take most."""
_UPGRADE = re.compile(rb"^upgrade: *websocket\r$", re.IGNORECASE | re.MULTILINE)
_TICKET = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Wire(Closeable):
    """Forwards every HTTP connection to the server at `url`, without TLS, from `open` to `aclose`.

    `spare`: where else to go, in this order, when nobody takes the call there. `line`: what media
    are to go by, opened and closed with it.

    Each way of breaking ends the calls there are, and says what becomes of the next ones.
    """

    def __init__(self, url: str, *spare: str, line: Line | None = None) -> None:
        self._far = [(parts.hostname or "", parts.port or 80) for parts in map(urlsplit, (url, *spare))]
        self._taking: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._sockets: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._refuses = self._is_closed = False
        self._repair: asyncio.TimerHandle | None = None
        self._ticket: bytes | None = None
        self.line = line

    @property
    def is_silent(self) -> bool:
        """Whoever calls now hears nothing."""
        return not self._passes.is_set()

    async def open(self) -> str:
        """The URL of its near end."""
        near = socket.create_server(("127.0.0.1", 0))
        near.setblocking(False)
        port = near.getsockname()[1]
        if self._is_closed:
            near.close()
        else:
            self._taking = asyncio.create_task(self._take_calls(near), name="wire:calls")
            # Here, because one that is cancelled before its first step closes nothing.
            self._taking.add_done_callback(lambda _: near.close())
            if self.line is not None:
                self.line.open()
        return f"ws://127.0.0.1:{port}"

    def hold(self, seconds: float | None = None) -> None:
        """Who calls hears nothing for `seconds`, or ever, and is put through then if he is still there."""
        self._break(seconds)
        self._passes.clear()

    def refuse(self, seconds: float) -> None:
        """Who calls within `seconds` is hung up on."""
        self._break(seconds)
        self._refuses = True

    def exchange(self, ticket: str) -> None:
        """Who calls does so with this ticket, whichever he has."""
        self._break(None)
        self._ticket = ticket.encode()

    def hang_up(self) -> None:
        """End every call, and take none any more. Idempotent."""
        self._is_closed = True
        self._break(None)
        if self._taking is not None:
            self._taking.cancel()

    async def finish(self) -> None:
        """`aclose`, when those who have said goodbye on a web socket have been heard out."""
        if self._sockets:
            await asyncio.wait(set(self._sockets), timeout=_LAST_WORDS)
        await self.aclose()

    async def aclose(self) -> None:
        self.hang_up()
        tasks = {*self._calls, self._taking} if self._taking is not None else set(self._calls)
        if tasks:
            await asyncio.wait(tasks)
        if self.line is not None:
            await self.line.aclose()

    def _break(self, seconds: float | None) -> None:
        if self._repair is not None:
            self._repair.cancel()
        self._mend()
        if seconds is not None:
            self._repair = asyncio.get_running_loop().call_later(seconds, self._mend)
        for call in self._calls:
            call.cancel()

    def _mend(self) -> None:
        self._repair, self._refuses = None, False
        self._passes.set()

    async def _take_calls(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(server)
            call = asyncio.create_task(self._carry(near), name="wire:call")
            self._calls.add(call)
            call.add_done_callback(partial(self._ended, near))

    def _ended(self, near: socket.socket, call: asyncio.Task[None]) -> None:
        near.close()
        self._calls.discard(call)
        self._sockets.discard(call)

    async def _carry(self, near: socket.socket) -> None:
        # The end of a call, by either side or by `aclose`, is no news to anybody.
        with suppress(OSError):
            if self._refuses or self._is_closed:
                return
            head = await _read_head(near)
            await self._passes.wait()
            if not head or _has_hung_up(near):
                return
            change: Change | None = None
            if _UPGRADE.search(head) and (call := asyncio.current_task()) is not None:
                self._sockets.add(call)
                if self.line is not None:
                    change = Diversion(self.line).of
            if self._ticket is not None:
                head = _TICKET.sub(self._ticket, head)
            with await self._reach() as far:
                await asyncio.get_running_loop().sock_sendall(far, head)
                async with anyio.create_task_group() as both_ways:
                    both_ways.start_soon(_answer, far, near, change)
                    await _pass_on(near, far)
                    both_ways.cancel_scope.cancel()

    async def _reach(self) -> socket.socket:
        """The far end. Raises `OSError` where nobody takes the call."""
        *better, last = self._far
        for far in better:
            with suppress(OSError):
                return await _call(*far)
        return await _call(*last)


async def _call(host: str, port: int) -> socket.socket:
    """A connection to the first of its addresses that takes one. Raises `OSError`."""
    failed = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        far = socket.socket(family, kind, protocol)
        far.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(far, address)
        except OSError as error:
            far.close()
            failed = error
        except BaseException:
            far.close()
            raise
        else:
            return far
    raise failed


async def _read_head(near: socket.socket) -> bytes:
    """The beginning of what is said, up to the end of the first request's head; nothing where there is none."""
    head = b""
    while END_OF_HEAD not in head:
        said = await asyncio.get_running_loop().sock_recv(near, _CHUNK)
        head += said
        if not said or len(head) > _LONGEST_HEAD:
            return b""
    return head


def _has_hung_up(near: socket.socket) -> bool:
    try:
        return not near.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False


async def _answer(far: socket.socket, near: socket.socket, change: Change | None) -> None:
    """Pass on what the server says. Where it hangs up, so does the wire; a caller who has is still heard."""
    await _pass_on(far, near, change)
    with suppress(OSError):
        near.shutdown(socket.SHUT_RDWR)


async def _pass_on(source: socket.socket, target: socket.socket, change: Change | None = None) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await loop.sock_recv(source, _CHUNK):
            await loop.sock_sendall(target, data if change is None else change(data))
