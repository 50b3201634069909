"""What a server holds for its sockets: nothing once they are gone, and no more than it promised while they are rude."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.model.commands import LeaveSeat, TakeSeat
from utd_core.server.pusher.outbox import Outbox
from utd_core.server.pusher.socket import Socket
from utd_core.server.pusher.stack import WireProtocol
from utd_core.testing.wait import eventually

from .apart import ServerApart
from .live import ROOM, LiveServer
from .raw_client import CONTINUED, PING, TEXT, RawClient, frame

KINDS = (Socket, Outbox, WireProtocol)
MIB = 1_024
"""KiB."""
IN_TIME = 5.0
"""Seconds in which others still hear of what happens, on a machine that is busy with other tests."""


def kept() -> Counter[str]:
    """What there is of connections, garbage or not."""
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, KINDS))


async def test_connections_that_end_leave_nothing_to_the_garbage_collector() -> None:
    async with LiveServer() as live:
        gc.collect()
        gc.disable()
        try:
            clients = [await RawClient.connect(live) for _ in range(5)]
            for client in clients:
                await client.follow()
            await live.do("host", TakeSeat(room=ROOM, index=1))
            await live.do("host", LeaveSeat(room=ROOM))
            assert kept() == {kind.__name__: len(clients) for kind in KINDS}
            for client in clients:
                client.hang_up()
            await live.empty()
            await eventually(lambda: not kept(), 5, what="all of it is free")
        finally:
            gc.enable()


class Bystander:
    """Somebody who behaves, and hears everything in time."""

    def __init__(self, server: ServerApart, client: RawClient) -> None:
        self._server = server
        self._client = client

    @classmethod
    async def come(cls, server: ServerApart) -> Bystander:
        client = await RawClient.connect(server)
        await client.follow()
        return cls(server, client)

    async def is_served(self, size: int = 10) -> None:
        began = monotonic()
        revision = await self._server.update(size)
        event = await self._client.hear()
        assert json.loads(event["data"])["revision"] == revision
        assert monotonic() - began < IN_TIME

    def leave(self) -> None:
        self._client.hang_up()


def shape(final: bool, opcode: int, reserved: int, masked: bool, size: int) -> bytes:
    return frame(b"x" * size, opcode, final=final, reserved=reserved, masked=masked)


FRAMES = st.builds(
    shape,
    final=st.booleans(),
    opcode=st.integers(0, 15),
    reserved=st.sampled_from([0, 0, 0, 1, 4]),
    masked=st.sampled_from([True, True, True, False]),
    size=st.sampled_from([0, 1, 125, 126, 4_000, 65_536, 70_000]),
)
NEVER_WHOLE = st.sampled_from(
    [
        frame(b"x" * 65_000)[:-1],
        b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(60_000),
        frame(b"x" * 60_000, TEXT, final=False),
        frame(b"", TEXT, final=False) + frame(b"", CONTINUED, final=False) * 5_000,
        frame(b"x" * 60_000, TEXT, final=False) + frame(b"ping", PING) * 2_000,
        b"",
    ]
)
"""Beginnings of what the server would have to hold until it is there."""


class TestRudeClients:
    @pytest.fixture
    async def server(self) -> AsyncIterator[ServerApart]:
        async with ServerApart() as server:
            yield server

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(crowd=st.lists(st.lists(FRAMES, max_size=4), min_size=1, max_size=6), unfinished=NEVER_WHOLE)
    async def test_of_any_frames_harm_nobody_and_cost_nothing_in_the_end(
        self, server: ServerApart, crowd: list[list[bytes]], unfinished: bytes
    ) -> None:
        bystander = await Bystander.come(server)
        before = await server.memory()
        rude = [await RawClient.connect(server) for _ in crowd]
        for client, frames in zip(rude, crowd, strict=True):
            for each in frames:
                client.transport.write(each)
            client.transport.write(unfinished)
        await bystander.is_served()
        assert await server.memory() < before + 8 * MIB, "a few clients have a few messages of 64 KiB at most"
        for client in rude:
            client.hang_up()
            await client.closed()
        await bystander.is_served()
        bystander.leave()

    async def test_who_never_end_a_message_hold_one_message_each(self, server: ServerApart) -> None:
        bystander = await Bystander.come(server)
        before = await server.memory()
        count = 200
        rude = [await RawClient.connect(server) for _ in range(count)]
        for client in rude:
            client.transport.write(frame(b"x" * 65_000)[:-1])
        await bystander.is_served()
        held = await server.memory() - before
        # The message, a copy on its way, and the connection.
        assert held < count * (2 * 64 + 64)
        for client in rude:
            client.hang_up()
        await bystander.is_served()
        bystander.leave()

    async def test_who_only_begin_to_ask_for_a_socket_hold_next_to_nothing(self, server: ServerApart) -> None:
        bystander = await Bystander.come(server)
        before = await server.memory()
        count = 300
        begun = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
        for _, writer in begun:
            writer.write(b"GET /app/live-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: ")
            for _ in range(10):
                writer.write(b"y" * 1_000)
        await bystander.is_served()
        assert await server.memory() - before < count * 64
        for _, writer in begun:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await bystander.is_served()
        bystander.leave()


async def test_slow_readers_hold_what_the_settings_say_and_leave_nothing() -> None:
    count, queue = 50, 256 * 1_024
    async with ServerApart(queue_bytes=queue, close_timeout=1.0) as server:
        bystander = await Bystander.come(server)
        for _ in range(50):
            await bystander.is_served(30_000)
        before = await server.memory()
        waves = [await wave_of_slow_readers(server, bystander, count) - before for _ in range(2)]
        bystander.leave()
    # Twice: what waits in the queue, and what the transport holds on top of what the system took.
    assert max(waves) < count * (2 * queue // 1_024 + 64), waves
    # The engine's own history of a hundred events is between them.
    assert waves[1] < waves[0] + 16 * MIB, waves


async def wave_of_slow_readers(server: ServerApart, bystander: Bystander, count: int) -> int:
    """KiB that the server has at most while so many read nothing, until they are cut off."""
    slow = [await RawClient.connect(server, receive_buffer=4_096) for _ in range(count)]
    for client in slow:
        await client.follow()
        client.stop_reading()
    most = 0
    for number in range(100):
        await bystander.is_served(30_000)
        if number % 10 == 9:
            most = max(most, await server.memory())
    for client in slow:
        client.hang_up()
    return most
