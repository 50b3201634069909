"""Reliable data, numbered, so that it survives the way it was sent over.

What was not acknowledged goes out again over the next way, and what comes twice is passed over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from .wires import Numbered, encode_numbered

MOST_UNACKNOWLEDGED = 1_000_000
"""Bytes under way before a sender has to wait."""
ACK_EVERY = 16
"""Messages after which the other side is told, besides the heartbeat."""


class ReliableData:
    """Both directions between two stays; another stay of the other side begins anew."""

    def __init__(self) -> None:
        self.received = 0
        """The number of the last message that has arrived."""
        self._sent = 0
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    async def has_room(self) -> None:
        """Wait until one message more may go out."""
        await self._room.wait()

    def post(self, topic: str, payload: bytes) -> bytes:
        """The next message as it goes over the channel; it is kept until it is acknowledged."""
        self._sent += 1
        message = encode_numbered(self._sent, topic, payload)
        self._under_way.append((self._sent, message))
        self._count(len(message))
        return message

    def acknowledge(self, number: int) -> None:
        """Everything up to `number` has arrived."""
        while self._under_way and self._under_way[0][0] <= number:
            self._count(-len(self._under_way.popleft()[1]))

    def again(self) -> Iterator[bytes]:
        """What has to go out over a new way."""
        return (message for _, message in tuple(self._under_way))

    def arrived(self, message: Numbered) -> bool:
        """Whether a message that came is new."""
        if message.number <= self.received:
            return False
        self.received = message.number
        return True

    def give_up(self) -> None:
        """Nobody is there any more to send to; who waits goes on."""
        self._under_way.clear()
        self._count(-self._bytes)

    def _count(self, more: int) -> None:
        self._bytes += more
        if self._bytes < MOST_UNACKNOWLEDGED:
            self._room.set()
        else:
            self._room.clear()
