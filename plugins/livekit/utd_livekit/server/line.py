"""The way of one participant's media to a server on this machine, and back, which can be a bad one.

The native library sends to the address that the server names in its signalling, which a `Diversion` exchanges for the
near end of a `Line`.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from utd_core.concurrency import Closeable

LOOPBACK = "127.0.0.1"
_LARGEST = 65_536
_MEDIA = range(128, 192)
"""The first byte of sound, pictures and of what is reported about them (RFC 7983). The rest sets the way up, shows that
it is there, and carries data."""

_FORGOTTEN = 5.0
"""Seconds after which nothing more is expected from an address: the library tries a handful, and then shows twice as
often at the one it stays with that it is there."""


@dataclass(slots=True)
class _Way:
    """To the server, for what comes from one address. `heard`: when that was last, on the loop's clock."""

    far: socket.socket
    heard: float


class Line(Closeable):
    """Forwards packets to the port of the server that takes media, from `open` to `aclose`.

    Each way of being bad lasts until it is 0 again, and leaves data alone, which nobody can tell apart on the way.
    """

    def __init__(self, far_port: int) -> None:
        self.far_port = far_port
        self.near_port = 0
        """Where it is open."""
        self._near: socket.socket | None = None
        self._ways: dict[tuple[str, int], _Way] = {}
        self._late: deque[tuple[float, bytes, tuple[str, int]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._next_burst = self._next_look = 0.0
        self.loss = 0.0
        """Share of the packets that are lost, 0 to 1, in either direction."""
        self.jitter = 0.0
        """Seconds that each packet to the participant is late at most; they stay in order."""
        self.burst = 0.0
        """Seconds for which packets to the participant are kept, to come all at once."""

    @property
    def keeps(self) -> int:
        """How many packets are late."""
        return len(self._late)

    def open(self) -> None:
        self._near = _socket()
        self._near.bind((LOOPBACK, 0))
        asyncio.get_running_loop().add_reader(self._near, self._from_participant, self._near)
        self.near_port = self._near.getsockname()[1]

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._near is not None:
            for each in (self._near, *(way.far for way in self._ways.values())):
                _close(each)
        self._near, self._timer = None, None
        self._ways.clear()
        self._late.clear()

    def _from_participant(self, near: socket.socket) -> None:
        # A participant has several ways, each from an address of its own, and the server must see them apart.
        with suppress(OSError):
            packet, address = near.recvfrom(_LARGEST)
            way = self._way_of(address)
            if not self._loses(packet):
                way.far.send(packet)

    def _way_of(self, address: tuple[str, int]) -> _Way:
        loop = asyncio.get_running_loop()
        way = self._ways.get(address)
        if way is None:
            way = self._ways[address] = _Way(_socket(), 0.0)
            way.far.connect((LOOPBACK, self.far_port))
            loop.add_reader(way.far, self._from_server, way.far, address)
        way.heard = loop.time()
        if way.heard > self._next_look:
            self._next_look = way.heard + _FORGOTTEN / 2
            self._forget(way.heard - _FORGOTTEN)
        return way

    def _forget(self, since: float) -> None:
        """Close the ways from where nothing came since then."""
        for address in [address for address, way in self._ways.items() if way.heard < since]:
            _close(self._ways.pop(address).far)

    def _from_server(self, far: socket.socket, address: tuple[str, int]) -> None:
        # A server that is not there any more is an error of the socket, and told by other means.
        with suppress(OSError):
            packet = far.recv(_LARGEST)
            if self._loses(packet):
                return
            if _is_media(packet) and (self._late or self.jitter or self.burst):
                self._keep(packet, address)
            else:
                self._deliver(packet, address)

    def _loses(self, packet: bytes) -> bool:
        return _is_media(packet) and random.random() < self.loss

    def _keep(self, packet: bytes, address: tuple[str, int]) -> None:
        now = asyncio.get_running_loop().time()
        due = now + random.uniform(0.0, self.jitter)
        if self.burst:
            if now >= self._next_burst:
                self._next_burst = now + self.burst
            due = self._next_burst
        if self._late:
            due = max(due, self._late[-1][0])
        self._late.append((due, packet, address))
        self._wait()

    def _wait(self) -> None:
        if self._timer is None and self._late:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self._let_go)

    def _let_go(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now:
            _, packet, address = self._late.popleft()
            self._deliver(packet, address)
        self._wait()

    def _deliver(self, packet: bytes, address: tuple[str, int]) -> None:
        if self._near is not None:
            with suppress(OSError):
                self._near.sendto(packet, address)


def _is_media(packet: bytes) -> bool:
    return bool(packet) and packet[0] in _MEDIA


def _close(ours: socket.socket) -> None:
    asyncio.get_running_loop().remove_reader(ours)
    ours.close()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
