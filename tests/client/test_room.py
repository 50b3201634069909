"""`UTDRoom`: the media half alone, and what adaptive stream and dynacast mean without a screen."""

from __future__ import annotations

import pytest

from utd_core.client import UTDRoom
from utd_core.client.media.devices import Devices
from utd_core.errors import Closed, Conflict, ConnectFailed, ConnectionLost, Forbidden, InvalidInput, NotFound
from utd_core.media.backend import JoinTicket
from utd_core.media.events import DataReceived, DisconnectReason, StateChanged
from utd_core.media.faults import Fault
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.permission import Grant, TrackSource
from utd_mock import MockBackend
from utd_mock.rooms import Participant

from .world import ROOM, World, now, small_camera

EVERYTHING = Grant(publish=frozenset(TrackSource))
MICROPHONE = frozenset({TrackSource.MICROPHONE})

pytestmark = pytest.mark.parity("U17")


async def ticket(world: World, identity: str, grant: Grant = EVERYTHING) -> JoinTicket:
    """From the application's own server, without an engine."""
    await world.backend.control.create_room("media")
    return await world.backend.control.issue_join("media", identity, grant=grant)


def make(world: World, *, adaptive_stream: bool = True) -> UTDRoom:
    devices = Devices(ToneAudioSource, small_camera)
    return UTDRoom(world.backend, clock=world.clock, devices=devices, adaptive_stream=adaptive_stream)


@pytest.mark.parity("T5", "U24")
async def test_connecting_with_a_url_and_a_token_publishing_and_reading(world: World) -> None:
    one, two = make(world), make(world)
    async with one, two:
        for room, identity in ((one, "one"), (two, "two")):
            place = await ticket(world, identity)
            assert not now(room.connected)
            await room.connect(place.url, place.token)
            assert now(room.connected)
        assert now(one.grant) == EVERYTHING
        assert isinstance(one.native, Participant)
        await one.set_microphone(True)
        await one.set_camera(True)
        await one.set_screen_share(True, small_camera())
        assert now(one.publishing) == MICROPHONE | {TrackSource.CAMERA, TrackSource.SCREEN_SHARE}
        for source in one.publishing.value:
            async with two.frames("one", source) as frames:
                await world.run(anext(frames))
        await one.set_screen_share(False)
        assert TrackSource.SCREEN_SHARE not in now(one.publishing)
        events = two.events.reader()
        await one.send_data(b"hello", destination_identities=["two"])
        await world.settle()
        assert any(isinstance(event, DataReceived) for event in iter(events.get_nowait, None))
        assert two.participants["one"].identity == "one"
    assert not now(one.connected)
    assert one.native is None


async def test_it_never_raises_its_own_permissions(world: World) -> None:
    async with make(world) as room:
        place = await ticket(world, "listener", Grant())
        await room.connect(place.url, place.token)
        for device in (room.set_microphone, room.set_camera):
            with pytest.raises(Forbidden):
                await device(True)
        assert not now(room.can_publish)
        await world.backend.control.apply_grant("media", "listener", EVERYTHING)
        await world.settle()
        assert now(room.can_publish)
        await room.set_microphone(True)
        await world.backend.control.apply_grant("media", "listener", Grant())
        await world.settle()
        assert now(room.publishing) == frozenset()


async def test_a_bad_token_fails_and_leaves_the_room_usable(world: World) -> None:
    async with make(world) as room:
        place = await ticket(world, "one")
        with pytest.raises(ConnectFailed):
            await room.connect(place.url, "nonsense")
        await room.connect(place.url, place.token)
        with pytest.raises(Conflict):
            await room.connect(place.url, place.token)


async def test_disconnecting_and_connecting_again(world: World) -> None:
    async with make(world) as room:
        place = await ticket(world, "one")
        for _ in range(3):
            await room.connect(place.url, place.token)
            await room.set_microphone(True)
            await room.disconnect()
            await room.disconnect()
            assert await room.wait_disconnected() is DisconnectReason.CLIENT_LEFT
            assert now(room.publishing) == frozenset()
            with pytest.raises(ConnectionLost):
                await room.send_data(b"x")
    with pytest.raises(Closed):
        await room.connect(place.url, place.token)


async def test_alone_it_does_not_come_back_and_readers_end(world: World) -> None:
    async with make(world) as room:
        place = await ticket(world, "one")
        await room.connect(place.url, place.token)
        events = room.events.reader()
        frames = room.frames("two")
        await world.backend.inject(Fault.SERVER_LEAVE, "media", "one")
        await world.settle()
        assert [frame async for frame in frames] == []
        assert await room.wait_disconnected() is DisconnectReason.SERVER_SHUTDOWN
        changed = [event.reason for event in iter(events.get_nowait, None) if isinstance(event, StateChanged)]
        assert changed == [DisconnectReason.SERVER_SHUTDOWN]


@pytest.mark.parity("T5")
async def test_without_auto_subscribe_tracks_are_taken_one_by_one(world: World) -> None:
    async with make(world) as one, make(world) as two:
        place = await ticket(world, "one")
        await one.connect(place.url, place.token)
        await one.set_microphone(True)
        place = await ticket(world, "two")
        await two.connect(place.url, place.token, auto_subscribe=False)
        await world.settle()
        with pytest.raises(NotFound):
            two.reader("one")
        with pytest.raises(NotFound):
            await two.set_subscribed("one", TrackSource.CAMERA, True)
        await two.set_subscribed("one", TrackSource.MICROPHONE, True)
        await world.settle()
        reader = two.reader("one")
        await world.run(anext(reader))
        await two.set_subscribed("one", TrackSource.MICROPHONE, False)
        await world.settle()
        assert two._reception.find("one", TrackSource.MICROPHONE) is None


async def test_there_is_no_screen_to_share_without_a_source(world: World) -> None:
    async with make(world) as room:
        place = await ticket(world, "one")
        await room.connect(place.url, place.token)
        with pytest.raises(InvalidInput):
            await room.set_screen_share(True)


@pytest.mark.parity("U21")
@pytest.mark.parametrize("adaptive", [True, False])
async def test_an_adaptive_stream_is_sent_only_while_somebody_reads(world: World, adaptive: bool) -> None:
    async with make(world) as one, make(world, adaptive_stream=adaptive) as two:
        for room, identity in ((one, "one"), (two, "two")):
            place = await ticket(world, identity)
            await room.connect(place.url, place.token)
        await one.set_camera(True)
        await world.clock.advance(1.0)
        assert await _received(two) == (0 if adaptive else 11)
        async with two.frames("one", TrackSource.CAMERA) as frames:
            await world.run(anext(frames))
            await world.clock.advance(1.0)
            watched = await _received(two)
            assert watched >= 10
        await world.clock.advance(1.0)
        assert await _received(two) - watched == (0 if adaptive else 10)


@pytest.mark.parity("U21")
async def test_adaptive_stream_and_dynacast_are_on_by_default_and_reach_the_backend(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    connect = MockBackend.connect

    async def remember(backend: MockBackend, ticket: JoinTicket, options: object) -> object:
        asked.append(options)
        return await connect(backend, ticket, options)  # type: ignore[arg-type]  # what was asked for

    monkeypatch.setattr(MockBackend, "connect", remember)
    await world.audio_room("host", as_host=True)
    await world.audio_room("listener", adaptive_stream=False, dynacast=False)
    assert [(options.adaptive_stream, options.dynacast) for options in asked] == [  # type: ignore[attr-defined]  # as above
        (True, True),
        (False, False),
    ]


async def test_a_session_shows_its_room(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    assert isinstance(host.room, UTDRoom)
    assert now(host.room.connected)
    statistics = await host.room.statistics()
    assert statistics == await host.statistics()
    assert statistics.connection is not None
    assert statistics.connection.reconnects == 0
    assert world.backend.server.rooms[ROOM].participants["host"].grant == now(host.room.grant)


async def _received(room: UTDRoom) -> int:
    counted = (await room.statistics()).connection
    return 0 if counted is None else sum(track.frames for track in counted.received)
