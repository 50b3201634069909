"""A client that is nothing but a TCP connection: it can be rude, slow, and thousands."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import socket
import struct
from typing import Any, cast

from utd_core.model.command import Actor
from utd_core.server.pusher.identities import channel_data
from utd_core.server.pusher.signatures import channel_text, credential

from .apart import ServerApart
from .live import CHANNEL, PROJECT, LiveServer

DEADLINE = 60.0
TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A WebSocket frame of a client."""
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    mask = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head += bytes([mask | size])
    elif size < 65_536:
        head += struct.pack("!BH", mask | 126, size)
    else:
        head += struct.pack("!BQ", mask | 127, size)
    return head + (bytes(4) if masked else b"") + payload


class RawClient(asyncio.Protocol):
    """`messages` are the server's, `code` that of its close frame. It answers pings of WebSocket, nothing else."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.code: int | None = None
        self.lost = asyncio.Event()
        self.socket_id = ""
        self.transport: asyncio.Transport
        self._buffer = b""
        self._upgraded = False

    @classmethod
    async def connect(cls, server: LiveServer | ServerApart, *, receive_buffer: int | None = None) -> RawClient:
        """A client that has been greeted. `receive_buffer`: bytes that its side holds when it does not read."""
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await loop.sock_connect(raw, ("127.0.0.1", server.port))
        _, client = await loop.create_connection(cls, sock=raw)
        greeting = await client.hear()
        client.socket_id = json.loads(greeting["data"])["socket_id"]
        return client

    async def follow(self, recover: tuple[str, int] | None = None) -> dict[str, Any]:
        """Follow the room as ann, with signed data; what that is answered."""
        who = channel_data(Actor("ann"))
        wish: dict[str, Any] = {
            "channel": CHANNEL,
            "auth": credential(PROJECT, channel_text(self.socket_id, CHANNEL, who)),
            "channel_data": who,
        }
        if recover is not None:
            wish["recover"] = {"epoch": recover[0], "offset": recover[1]}
        self.say({"event": "pusher:subscribe", "data": wish})
        answer = await self.hear()
        assert answer["event"] == "pusher_internal:subscription_succeeded", answer
        return answer

    def say(self, message: Any) -> None:
        self.transport.write(frame(json.dumps(message).encode()))

    async def hear(self) -> dict[str, Any]:
        """The next message. Raises `ConnectionError` at the end."""
        message = await asyncio.wait_for(self.messages.get(), DEADLINE)
        if message is None:
            raise ConnectionError(f"closed with {self.code}")
        return message

    async def closed(self) -> int | None:
        """The code with which the server closes, None where it just cuts."""
        await asyncio.wait_for(self.lost.wait(), DEADLINE)
        return self.code

    def stop_reading(self) -> None:
        self.transport.pause_reading()

    def read_on(self) -> None:
        self.transport.resume_reading()

    def hang_up(self) -> None:
        self.transport.abort()

    # The protocol's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /app/{PROJECT.key}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded, self._buffer = True, rest
        while (size := self._whole()) is not None:
            begin, end_of_frame = size
            self._take(self._buffer[0] & 0xF, self._buffer[begin:end_of_frame])
            self._buffer = self._buffer[end_of_frame:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self.messages.put_nowait(None)

    def _whole(self) -> tuple[int, int] | None:
        """Where the payload of the first frame begins and ends."""
        held = self._buffer
        if len(held) < 2:
            return None
        size, begin = held[1], 2
        if size == 126:
            size, begin = int.from_bytes(held[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(held[2:10], "big"), 10
        return (begin, begin + size) if len(held) >= begin + size else None

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.messages.put_nowait(json.loads(payload))
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.transport.write(frame(payload[:2], CLOSE))
        elif opcode == PING:
            self.transport.write(frame(payload, PONG))


def many_descriptors(wanted: int) -> int:
    """Let this process open as many as it may; how many that is, at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
