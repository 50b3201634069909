"""People for `benchmarks.storm`: many sockets in a process of their own, `python -m benchmarks._storm_people`.

The first line of its standard input says who they are: {"port", "key", "channel", "tokens"}, a socket for each token.
Then each line is an order, which is answered by one line of JSON once it is carried out:

- `come`: all connect at once, sign in, and follow the channel; who was there before recovers from where it was.
- `drop`: every connection is cut, at once.
- `hear OFFSET`: all have every event of the channel up to there.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvloop

PATIENCE = 120.0


@dataclass(frozen=True)
class Way:
    """Where the server is, and what to follow there."""

    port: int
    key: str
    channel: str


class Wire(asyncio.Protocol):
    """One connection. `greeting` is said once it is open; `hear` gets what the server says, and None at the end."""

    def __init__(
        self, way: Way, greeting: Sequence[tuple[str, Any]], hear: Callable[[dict[str, Any] | None], None]
    ) -> None:
        self._way = way
        self._greeting = greeting
        self._hear = hear
        self._transport: asyncio.Transport
        self._held = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /app/{self._way.key}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        if not self._upgraded:
            head, end, rest = held.partition(b"\r\n\r\n")
            if not end:
                self._held = held
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.cut()
                return
            self._upgraded, held = True, rest
            for event, wish in self._greeting:
                self.say(event, wish)
        begin = 0
        while begin + 2 <= len(held):
            size, at = held[begin + 1], begin + 2
            if size == 126:
                size, at = int.from_bytes(held[at : at + 2], "big"), at + 2
            elif size == 127:
                size, at = int.from_bytes(held[at : at + 8], "big"), at + 8
            if at + size > len(held):
                break
            if held[begin] == 0x81:
                self._hear(json.loads(held[at : at + size]))
            begin = at + size
        self._held = held[begin:]

    def connection_lost(self, error: Exception | None) -> None:
        self._hear(None)

    def say(self, event: str, data: Any) -> None:
        payload = json.dumps({"event": event, "data": data}).encode()
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
        self._transport.write(head + bytes(4) + payload)

    def cut(self) -> None:
        self._transport.abort()


class Person:
    """Somebody who wants to hear everything that happens, from the first time on.

    `is_there`: it follows the channel. `epoch` and `offset`: the place of what was heard last. `attempts`: connections
    that were tried. `answers`: what `recovered` was each time. `holes`, `again`: events that were left out, or came
    twice.
    """

    def __init__(self, way: Way, token: str) -> None:
        self.is_there = False
        self.epoch = ""
        self.offset = 0
        self.attempts = 0
        self.answers: list[bool] = []
        self.holes = 0
        self.again = 0
        self._way = way
        self._token = token
        self._wire: Wire | None = None
        self._ended = False
        self._moved = asyncio.Event()

    async def come(self) -> None:
        """Follow the channel; tries until that is so."""
        loop = asyncio.get_running_loop()
        while not self.is_there:
            self.attempts += 1
            self._ended = False
            try:
                _, self._wire = await loop.create_connection(self._new_wire, "127.0.0.1", self._way.port)
                await self._until(lambda: self.is_there or self._ended)
            except OSError:
                self._ended = True
            if self._ended:
                await asyncio.sleep(random.uniform(0.05, 0.5))

    def drop(self) -> None:
        self.is_there = False
        if self._wire is not None:
            self._wire.cut()

    async def hear(self, offset: int) -> None:
        await self._until(lambda: self.offset >= offset)

    def _new_wire(self) -> Wire:
        recover = {"recover": {"epoch": self.epoch, "offset": self.offset}} if self.epoch else {}
        wish = {"channel": self._way.channel, **recover}
        greeting = (("pusher:signin", {"token": self._token}), ("pusher:subscribe", wish))
        return Wire(self._way, greeting, self._hear)

    def _hear(self, message: dict[str, Any] | None) -> None:
        if message is None:
            self.is_there, self._ended = False, True
        elif message["event"] == "pusher_internal:subscription_succeeded":
            recovered = message.get("recovered")
            if recovered is not None:
                self.answers.append(recovered)
            if not recovered:
                self.epoch, self.offset = message["epoch"], message["offset"]
            self.is_there = True
        elif "offset" in message and message.get("channel") == self._way.channel:
            step = message["offset"] - self.offset
            self.holes += max(0, step - 1)
            self.again += step < 1
            self.offset = max(self.offset, message["offset"])
        elif message["event"] in ("pusher:error", "pusher:subscription_error"):
            sys.exit(f"refused: {message}")
        elif message["event"] == "pusher:ping" and self._wire is not None:
            self._wire.say("pusher:pong", {})
        self._moved.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._moved.clear()
            await self._moved.wait()


def summary(people: Sequence[Person]) -> dict[str, int]:
    return {
        "there": sum(person.is_there for person in people),
        "recovered": sum(person.answers.count(True) for person in people),
        "not_recovered": sum(person.answers.count(False) for person in people),
        "holes": sum(person.holes for person in people),
        "again": sum(person.again for person in people),
        "attempts": sum(person.attempts for person in people),
        "offset": min(person.offset for person in people),
    }


async def obey(orders: asyncio.StreamReader) -> None:
    given = json.loads(await orders.readline())
    way = Way(given["port"], given["key"], given["channel"])
    people = [Person(way, token) for token in given["tokens"]]
    while words := (await orders.readline()).decode().split():
        async with asyncio.timeout(PATIENCE):
            match words:
                case ["come"]:
                    await asyncio.gather(*(person.come() for person in people))
                case ["drop"]:
                    for person in people:
                        person.drop()
                case ["hear", offset]:
                    await asyncio.gather(*(person.hear(int(offset)) for person in people))
        print(json.dumps(summary(people)), flush=True)
    for person in people:
        person.drop()


async def main() -> None:
    orders = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await obey(orders)


if __name__ == "__main__":
    uvloop.run(main())
