"""What the server enforces on clients that do not keep to the rules, and what it does not send."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from livekit import rtc

from utd_core.concurrency import SystemClock, TaskScope
from utd_core.engine import Engine
from utd_core.errors import ConnectFailed, DeadlineExceeded, PublishRefused
from utd_core.media.backend import ConnectOptions, JoinTicket, MediaBackend, PublishOptions
from utd_core.media.events import ConnectionState
from utd_core.media.frames import Frame
from utd_core.model.permission import Grant, TrackSource
from utd_core.testing.contract import signals
from utd_core.testing.contract.patience import Patience
from utd_core.testing.contract.peer import Listener
from utd_core.testing.contract.player import Player, playing
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.connection import LiveKitConnection
from utd_livekit.local import LiveKitLocalTrack

pytestmark = pytest.mark.heavy

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
SPEAKER, LISTENER = Grant(publish=frozenset({MICROPHONE, CAMERA})), Grant()


def room_name() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


async def join(backend: LiveKitBackend, room: str, identity: str, grant: Grant = LISTENER) -> LiveKitConnection:
    return await backend.connect(await backend.control.issue_join(room, identity, grant=grant))


@asynccontextmanager
async def raw_speaker(ticket: JoinTicket) -> AsyncIterator[rtc.Room]:
    """Somebody with the SDK itself, who goes on sending whatever he is told."""
    room, source = rtc.Room(), rtc.AudioSource(48_000, 1, 200)
    await room.connect(ticket.url, ticket.token)
    track = rtc.LocalAudioTrack.create_audio_track("raw", source)
    await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    scope = TaskScope("raw speaker")
    await scope.open()

    async def speak() -> None:
        while True:
            for frame in signals.tone(440.0, seconds=0.4):
                await source.capture_frame(rtc.AudioFrame(frame.data, 48_000, 1, 960))
                await asyncio.sleep(0.02)

    scope.start(speak)
    try:
        yield room
    finally:
        await scope.aclose()
        await room.disconnect()
        await source.aclose()


async def test_a_client_that_keeps_publishing_is_cut_off_when_its_grant_goes(
    backend: LiveKitBackend, record_property: Callable[[str, object], None]
) -> None:
    room, patience = room_name(), Patience(virtual_time=False)
    await patience._scope.open()
    await backend.control.create_room(room)
    bob = await join(backend, room, "bob")
    ticket = await backend.control.issue_join(room, "raw", grant=SPEAKER)
    async with raw_speaker(ticket):
        await eventually(lambda: [track.info for track in bob._roster.subscribed()], 10.0)
        (track,) = bob._roster.subscribed()
        listener = Listener.of(patience, bob.read(track.info.id))
        await listener.hears(440.0)
        began = patience.clock.monotonic()
        await backend.control.apply_grant(room, "raw", LISTENER)
        await listener.end()
        took = patience.clock.monotonic() - began
        record_property("cut off after", round(took, 3))
        assert took < 1.0
        assert bob.participants["raw"].tracks == ()
    await patience._scope.aclose()
    await backend.control.close_room(room)


async def test_a_grant_that_goes_while_the_former_track_ends_refuses_the_next_at_once(
    backend: LiveKitBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, unpublish = room_name(), LiveKitLocalTrack.unpublish
    await backend.control.create_room(room)
    async with await join(backend, room, "ann", SPEAKER) as ann:
        await ann.publish(PublishOptions(MICROPHONE))

        async def unpublish_and_lose_the_grant(track: LiveKitLocalTrack) -> None:
            await unpublish(track)
            await backend.control.apply_grant(room, "ann", LISTENER)
            await eventually(lambda: ann.grant == LISTENER, 10.0)

        monkeypatch.setattr(LiveKitLocalTrack, "unpublish", unpublish_and_lose_the_grant)
        # The SDK would find that out 10 s after it asked.
        async with asyncio.timeout(8.0):
            with pytest.raises(PublishRefused):
                await ann.publish(PublishOptions(MICROPHONE))
    await backend.control.close_room(room)


async def is_shut_out(backend: LiveKitBackend, room: str, ticket: JoinTicket) -> None:
    """Nobody stays in the room who comes with this ticket; the server may end it before he is quite there."""
    before = {who.identity for who in await backend.control.list_participants(room)}
    with suppress(ConnectFailed, DeadlineExceeded):
        again = await LiveKitBackend.connect(backend, ticket, ConnectOptions(deadline=5.0))
        await eventually(lambda: again.state is ConnectionState.DISCONNECTED, 10.0)
    assert {who.identity for who in await backend.control.list_participants(room)} == before


async def test_a_ticket_from_before_a_removal_is_no_good_and_a_new_one_is(backend: LiveKitBackend) -> None:
    room = room_name()
    await backend.control.create_room(room)
    ticket = await backend.control.issue_join(room, "ann", grant=LISTENER)
    first = await backend.connect(ticket)
    await backend.control.remove_participant(room, "ann")
    await eventually(lambda: first.state is ConnectionState.DISCONNECTED, 10.0)
    await is_shut_out(backend, room, ticket)
    fresh = await join(backend, room, "ann")
    await asyncio.sleep(0.5)
    assert fresh.state is ConnectionState.CONNECTED
    await backend.control.close_room(room)


async def test_an_old_ticket_brings_nobody_back_who_was_kicked(backend: LiveKitBackend) -> None:
    room = room_name()
    async with Engine(backend) as engine:
        host, guest = engine.client("host"), engine.client("guest")
        async with host, guest:
            await host.authenticate()
            await guest.authenticate()
            there = await host.join_audio_room(room, as_host=True)
            tickets: list[JoinTicket] = []
            connect = backend.connect

            async def remember(ticket: JoinTicket, options: ConnectOptions | None = None) -> LiveKitConnection:
                tickets.append(ticket)
                return await connect(ticket, options)

            backend.connect = remember  # type: ignore[method-assign]  # looks on
            here = await guest.join_audio_room(room)
            await there.kick("guest")
            await eventually(lambda: here.ended.value, 10.0)
            await is_shut_out(backend, room, tickets[-1])
            await there.aclose()
            await here.aclose()


async def video_packets(connection: LiveKitConnection) -> int:
    """Packets of video that arrived so far, as the native library counts them."""
    stats = await connection.native.get_rtc_stats()
    return sum(
        entry.inbound_rtp.received.packets_received
        for entry in (*stats.subscriber_stats, *stats.publisher_stats)
        if entry.HasField("inbound_rtp") and entry.inbound_rtp.stream.kind == "video"
    )


async def test_a_video_that_nobody_reads_costs_nothing_downstream(backend: LiveKitBackend) -> None:
    room, patience = room_name(), Patience(virtual_time=False)
    await patience._scope.open()
    await backend.control.create_room(room)
    ann, bob = await join(backend, room, "ann", SPEAKER), await join(backend, room, "bob")
    track = await ann.publish(PublishOptions(CAMERA, width=320, height=240))
    film: list[Frame] = [*signals.film([60, 180], width=320, height=240)]
    async with playing(Player(patience, track, film)):
        await eventually(lambda: list(bob._roster.subscribed()), 10.0)
        listener = Listener.of(patience, bob.read(track.info.id))
        await eventually(lambda: len(listener.frames) > 10, 10.0)
        await listener.reader.aclose()
        await patience.settle()
        before = await video_packets(bob)
        assert before > 0
        await patience.pass_time(2.0)
        assert await video_packets(bob) == before, "the server goes on sending"
        again = Listener.of(patience, bob.read(track.info.id))
        await eventually(lambda: len(again.frames) > 10, 10.0)
    await patience._scope.aclose()
    await backend.control.close_room(room)


async def test_a_backend_with_a_server_of_its_own_starts_and_stops_it(built_server: object) -> None:
    backend: MediaBackend
    async with LiveKitBackend({"local": True}, SystemClock()) as backend:
        # At once, while the server is only starting.
        await asyncio.gather(*(backend.control.create_room(f"room-{number}") for number in range(5)))
        assert len(await backend.control.list_rooms()) == 5
        server = backend._own
        assert server is not None
        assert server.pid is not None
    assert server.pid is None
