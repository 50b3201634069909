"""Clients that are rude, slow, half gone or many: the server stays up, its memory bounded, the others unharmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.model.commands import LeaveSeat, TakeSeat, UpdateMetadata
from utd_core.server.pusher import CloseCode
from utd_core.testing.wait import eventually

from .asgi_client import Ended
from .live import CHANNEL, PROJECT, ROOM, LiveServer
from .raw_client import BINARY, CONTINUED, PING, PONG, TEXT, RawClient, frame
from .world import World

STACKS: dict[str, dict[str, Any]] = {"wire": {}, "sansio": {"ws": "websockets-sansio"}, "wsproto": {"ws": "wsproto"}}
"""Ours, and two that know nothing of it."""


@pytest.fixture(params=STACKS)
async def live(request: pytest.FixtureRequest) -> AsyncIterator[LiveServer]:
    async with LiveServer(STACKS[request.param]) as live:
        yield live


@asynccontextmanager
async def bystander(live: LiveServer) -> AsyncIterator[RawClient]:
    """Somebody who hears everything that happens in the room, whatever others do."""
    client = await RawClient.connect(live)
    head = (await client.follow())["offset"]
    yield client
    await live.do("host", TakeSeat(room=ROOM, index=1))
    await live.do("host", LeaveSeat(room=ROOM))
    while (message := await client.hear())["event"] != "seat_left":
        assert message["offset"] == head + 1
        head += 1
    client.hang_up()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
CHANNELS = st.sampled_from(
    ["news", "private-a", "presence-b", CHANNEL, "private-user.ann", "private-call.1", "#server-to-user-ann", "", "ä"]
) | st.text(max_size=20)  # fmt: skip
MESSAGES = st.one_of(
    st.text(max_size=200),
    JSON.map(json.dumps),
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(
                [
                    "pusher:subscribe", "pusher:unsubscribe", "pusher:signin", "pusher:ping", "pusher:pong", "client-x",
                    "x",
                ]
            ),
            "data": JSON
            | st.fixed_dictionaries(
                {"channel": CHANNELS},
                optional={
                    "auth": st.text(max_size=20) | st.just("key:" + "0" * 64),
                    "channel_data": JSON | st.just('{"user_id":"ann"}'),
                    "recover": JSON | st.fixed_dictionaries({"epoch": st.text(max_size=5), "offset": st.integers()}),
                    "token": st.text(max_size=20),
                },
            ),
        },
        optional={"channel": CHANNELS, "id": JSON},
    ).map(json.dumps),
)  # fmt: skip


class TestWhateverIsSaid:
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(MESSAGES | st.binary(max_size=50), max_size=12))
    async def test_by_one_client_harms_no_other(self, room: World, messages: list[str | bytes]) -> None:
        other = await room.connect()
        other.subscribe("news")
        await other.hear("pusher_internal:subscription_succeeded")
        client = await room.connect()
        for message in messages:
            if isinstance(message, bytes):
                client.say_bytes(message)
            else:
                client.say_text(message)
        try:
            client.say("pusher:ping")
            while (await client.hear())["event"] != "pusher:pong":
                pass
        except Ended:
            assert client.code in (CloseCode.NOT_TEXT, CloseCode.UNAUTHORIZED)
        await other.hear_nothing()
        for each in (client, other):
            await each.leave()
            assert each.raised is None
        assert room.hub.sockets == {}

    async def test_too_fast_is_cut_off(self) -> None:
        async with World(messages_per_second=10, message_burst=20) as world:
            client, other = await world.connect(), await world.connect()
            for _ in range(21):
                client.say("pusher:ping")
            assert await client.closed() == CloseCode.TOO_FAST
            await other.hear_nothing()

    async def test_that_makes_the_server_fail_is_the_end_of_that_client(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        client, other = await world.connect(), await world.connect()

        def fault(*_: object, **__: object) -> Any:
            raise ZeroDivisionError("a secret")

        with monkeypatch.context() as patch:
            patch.setattr("utd_core.server.pusher.dialogue.parse", fault)
            client.say("pusher:ping")
            assert await client.closed() == CloseCode.INTERNAL
        assert "a secret" not in client.reason
        assert "ZeroDivisionError" in caplog.text
        await other.hear_nothing()


class TestBadFrames:
    @pytest.mark.parametrize(
        "data",
        [
            frame(b"x" * 70_000),
            frame(b"x" * 10_000_000)[:100_000],
            frame(b"", TEXT, final=False) + frame(b"x" * 40_000, CONTINUED, final=False) * 3,
            frame(b"\xff\xfe", TEXT),
            frame(b"x", CONTINUED),
            frame(b"x", 0x3),
            frame(b"x", 0xB),
            frame(b"x", reserved=1),
            frame(b"x", masked=False),
            frame(b"x" * 200, PING),
            frame(b"x", PING, final=False),
            b"\x81\xff" + b"\xff" * 12,
            b"\x00" * 1_000,
            b"GET / HTTP/1.1\r\n\r\n",
        ],
        ids=lambda data: f"{data[:4].hex()}-{len(data)}",
    )
    async def test_end_their_connection_and_no_other(self, live: LiveServer, data: bytes) -> None:
        async with bystander(live):
            rude = await RawClient.connect(live)
            rude.transport.write(data)
            code = await rude.closed()
            assert code is None or 1002 <= code <= 1009, code
        await live.empty()

    @pytest.mark.parametrize("data", [frame(b"x" * 100, BINARY), frame(b"", BINARY)])
    async def test_of_another_kind_are_told_so(self, live: LiveServer, data: bytes) -> None:
        async with bystander(live):
            client = await RawClient.connect(live)
            client.transport.write(data)
            assert await client.closed() == CloseCode.NOT_TEXT
        await live.empty()

    async def test_in_pieces_are_put_together(self, live: LiveServer) -> None:
        client = await RawClient.connect(live)
        text = json.dumps({"event": "pusher:ping"}).encode()
        pieces = frame(text[:5], final=False) + frame(b"", PING) + frame(text[5:9], CONTINUED, final=False)
        for byte in pieces + frame(b"", PONG) + frame(text[9:], CONTINUED):
            client.transport.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.hear())["event"] == "pusher:pong"
        client.hang_up()
        await live.empty()

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.booleans())
    async def test_of_any_bytes_harm_nobody(self, shared: LiveServer, pieces: list[bytes], framed: bool) -> None:
        client = await RawClient.connect(shared)
        for piece in pieces:
            client.transport.write(frame(piece) if framed else piece)
        await asyncio.sleep(0)
        client.hang_up()
        await client.closed()
        other = await RawClient.connect(shared)
        other.say({"event": "pusher:ping"})
        assert (await other.hear())["event"] == "pusher:pong"
        other.hang_up()

    @pytest.fixture
    async def shared(self) -> AsyncIterator[LiveServer]:
        async with LiveServer() as live:
            yield live
            await live.empty()


class TestSlowReaders:
    @pytest.mark.parametrize("stack", STACKS)
    async def test_are_cut_off_and_nobody_waits_for_them(self, stack: str) -> None:
        limits = {"queue_bytes": 200_000, "queue_frames": 100, "close_timeout": 1.0}
        async with LiveServer(STACKS[stack], **limits) as live:
            fast = [await RawClient.connect(live) for _ in range(3)]
            slow = [await RawClient.connect(live, receive_buffer=4_096) for _ in range(3)]
            for client in (*fast, *slow):
                await client.follow()
            for client in slow:
                client.stop_reading()
            hub = live.mount._hubs[PROJECT.app_id]
            most = 0
            for revision in range(300):
                await live.do("host", UpdateMetadata(room=ROOM, metadata={"x": "y" * 30_000}, revision=revision))
                most = max(most, hub.statistics().queued)
            for client in fast:
                for revision in range(300):
                    event = await client.hear()
                    assert json.loads(event["data"])["revision"] == revision + 1
            assert most <= 3 * 200_000
            await eventually(lambda: live.connections == 3, 20, what="the slow ones are gone")
            assert hub.statistics().closed[CloseCode.TOO_SLOW] == 3
            assert hub.statistics().queued == 0
            for client in slow:
                client.hang_up()
            for client in fast:
                client.hang_up()
            await live.empty()

    async def test_that_read_again_get_what_was_sent_and_then_the_code(self) -> None:
        async with LiveServer(queue_frames=50, close_timeout=30.0) as live:
            client = await RawClient.connect(live, receive_buffer=4_096)
            head = (await client.follow())["offset"]
            client.stop_reading()
            hub = live.mount._hubs[PROJECT.app_id]
            revision = 0
            while not hub.statistics().closed:
                await live.do("host", UpdateMetadata(room=ROOM, metadata={"x": "y" * 30_000}, revision=revision))
                revision += 1
            client.read_on()
            while (message := await client.messages.get()) is not None:
                head += 1
                assert message["offset"] == head, "there is an end, but no hole"
            assert await client.closed() == CloseCode.TOO_SLOW
            await live.empty()


class TestHalfOpen:
    @pytest.mark.parametrize("stack", STACKS)
    async def test_connections_die(self, stack: str) -> None:
        """One that answers nothing, and one whose side is full as well."""
        async with LiveServer(STACKS[stack], activity_timeout=1.0, pong_timeout=1.0, close_timeout=1.0) as live:
            silent = await RawClient.connect(live)
            full = await RawClient.connect(live, receive_buffer=4_096)
            await full.follow()
            full.stop_reading()
            for revision in range(60):
                await live.do("host", UpdateMetadata(room=ROOM, metadata={"x": "y" * 30_000}, revision=revision))
            await live.empty()
            assert await silent.closed() == CloseCode.NO_PONG
            full.hang_up()

    async def test_handshakes_reach_nobody(self) -> None:
        async with LiveServer() as live:
            _, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(b"GET /app/live-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n")
            async with bystander(live):
                assert live.connections == 1
            writer.close()
            await writer.wait_closed()
            await live.empty()
