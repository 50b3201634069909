"""Losing the media connection, the engine's events, or both; and what cannot be had again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from utd_core.client import Resynced, SyncState, UTDAudioRoomSession
from utd_core.engine import EngineSettings
from utd_core.errors import Closed, ConnectionLost, StoreFailed
from utd_core.media.events import DisconnectReason
from utd_core.media.faults import Fault
from utd_core.model.commands import ClearSeat, EndRoom
from utd_core.model.permission import TrackSource
from utd_core.model.session import SessionState

from .world import ROOM, Way, World, held_by, now

MICROPHONE = frozenset({TrackSource.MICROPHONE})

pytestmark = pytest.mark.parity("U23")


async def speaker(world: World) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession]:
    """A host who is heard, and a listener."""
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.run(host.take_seat(0))
    await world.settle()
    return host, listener


async def hears(world: World, listener: UTDAudioRoomSession) -> None:
    async with listener.frames("host") as frames:
        await world.run(anext(frames))


def states_of(session: UTDAudioRoomSession) -> list[SessionState]:
    seen: list[SessionState] = []
    session.state.subscribe(seen.append)
    return seen


async def test_a_signal_drop_is_repaired_without_the_application_and_tracks_still_flow(world: World) -> None:
    host, listener = await speaker(world)
    seen = states_of(host)
    await world.fault(Fault.SIGNAL_DROP, ROOM, "host", seconds=4.0)
    assert now(host.state) is SessionState.RECONNECTING
    await hears(world, listener)
    await world.clock.advance(5.0)
    assert seen == [SessionState.RECONNECTING, SessionState.CONNECTED]
    assert now(host.room.publishing) == MICROPHONE
    await hears(world, listener)


async def test_a_full_reconnect_resumes_what_was_published(world: World) -> None:
    host, listener = await speaker(world)
    async with listener.frames("host") as frames:
        await world.run(anext(frames))
        seen = states_of(host)
        await world.fault(Fault.FULL_RECONNECT, ROOM, "host", seconds=4.0)
        await world.clock.advance(5.0)
        assert seen == [SessionState.RECONNECTING, SessionState.CONNECTED]
        for _ in range(60):
            await world.run(anext(frames))


@pytest.mark.parametrize("fault", [Fault.SERVER_LEAVE, Fault.TOKEN_EXPIRY, Fault.NODE_FAILURE])
async def test_a_lost_connection_is_had_again_with_a_fresh_ticket_and_the_microphone_with_it(
    world: World, fault: Fault
) -> None:
    host, listener = await speaker(world)
    async with listener.frames("host") as frames:
        await world.run(anext(frames))
        seen = states_of(host)
        first = host.room.native
        await world.fault(fault, ROOM, "host")
        await world.until(lambda: seen[-1:] == [SessionState.CONNECTED])
        assert seen == [SessionState.RECONNECTING, SessionState.CONNECTED]
        assert host.room.native is not first
        await world.until(lambda: host.room.publishing.value == MICROPHONE)
        assert held_by(host) is not None
        for _ in range(60):
            await world.run(anext(frames))


async def test_a_muted_microphone_comes_back_muted(world: World) -> None:
    host, _ = await speaker(world)
    await host.set_microphone(False)
    await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
    await world.until(lambda: host.connected.value)
    await world.settle()
    (track,) = world.backend.server.rooms[ROOM].participants["host"].tracks
    assert track.info.muted
    await host.set_microphone(True)
    assert now(host.room.publishing) == MICROPHONE


async def test_a_microphone_whose_seat_was_lost_meanwhile_stays_closed(world: World) -> None:
    host, _ = await speaker(world)
    await world.fault(Fault.SIGNAL_DROP, ROOM, "host", seconds=4.0)
    await world.engine.execute(ClearSeat(room=ROOM, index=0))
    await world.clock.advance(6.0)
    assert now(host.connected)
    assert now(host.room.publishing) == frozenset()


async def test_waits_between_attempts_grow_and_the_client_gives_up_clearly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _ = await speaker(world)
    attempts: list[float] = []

    async def refuse(*_: object) -> None:
        attempts.append(world.clock.monotonic())
        raise ConnectionLost("the server is away")

    monkeypatch.setattr(type(host._link), "connect_media", refuse)
    lost = world.clock.monotonic()
    await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
    assert now(host.state) is SessionState.RECONNECTING
    await world.clock.advance(70.0)
    assert [round(attempt - lost, 3) for attempt in attempts[:5]] == [0.0, 0.25, 0.75, 1.75, 3.75]
    assert now(host.state) is SessionState.DISCONNECTED
    end = host.ended.value
    assert end is not None
    assert end.reason == "connection_lost"
    assert end.error is not None
    assert "60 s" in end.message
    monkeypatch.undo()
    await world.run(host.rejoin())
    assert now(host.connected)


async def test_a_connection_that_is_lost_as_soon_as_it_is_had_again_is_not_had_in_a_hot_loop(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    regained: list[float] = []

    async def cut(state: SessionState) -> None:
        if state is SessionState.CONNECTED:
            regained.append(world.clock.monotonic())
            await world.backend.inject(Fault.SERVER_LEAVE, ROOM, "host")

    host.state.subscribe(cut)
    await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
    await world.until(lambda: host.state.value is SessionState.DISCONNECTED, timeout=120.0)
    assert [later - earlier for earlier, later in pairwise(regained)][:5] == pytest.approx([0.25, 0.5, 1.0, 2.0, 4.0])
    end = host.ended.value
    assert end is not None
    assert end.reason == "connection_lost"


async def test_away_for_longer_than_the_engine_keeps_the_place_it_comes_back_as_a_listener(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, listener = await speaker(world)
    await world.run(listener.take_seat(1))
    away = True
    connect = type(host._link).connect_media

    async def maybe(link: object, *arguments: object) -> object:
        if away:
            raise ConnectionLost("the server is away")
        return await connect(link, *arguments)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(type(host._link), "connect_media", maybe)
    monkeypatch.setattr(
        type(host._link), "execute", _unreachable(type(listener._link).execute, lambda: away, "listener")
    )
    await world.fault(Fault.SERVER_LEAVE, ROOM, "listener")
    await world.clock.advance(40.0)
    assert now(host.seats).seat_of("listener") is None
    assert now(listener.state) is SessionState.RECONNECTING
    assert now(listener.sync) is SyncState.RECOVERING
    events = listener.events.reader()
    away = False
    await world.until(lambda: listener.connected.value)
    resynced = [event.recovered for event in iter(events.get_nowait, None) if isinstance(event, Resynced)]
    assert resynced == [False]
    assert now(listener.sync) is SyncState.LIVE
    assert held_by(listener) is None
    assert now(listener.room.publishing) == frozenset()
    assert now(listener.seats) == now(host.seats)
    await world.run(host.leave_seat())
    await world.settle()
    assert now(listener.seats).occupants() == {}


async def test_another_device_takes_over_and_the_first_does_not_fight_back(world: World) -> None:
    await world.audio_room("host", as_host=True)
    phone = await world.audio_room("bob", device_id="phone")
    await world.run(phone.take_seat(0))
    tablet = await world.audio_room("bob", device_id="tablet")
    await world.clock.advance(30.0)
    end = phone.ended.value
    assert end is not None
    assert end.reason == "replaced"
    assert now(tablet.connected)
    assert held_by(tablet) is not None


async def test_an_intruder_with_the_identity_ends_the_session_for_good(world: World) -> None:
    host, _ = await speaker(world)
    await world.fault(Fault.DUPLICATE_IDENTITY, ROOM, "host")
    await world.settle()
    end = host.ended.value
    assert end is not None
    assert end.reason == "replaced"


async def test_a_room_that_ends_while_away_is_not_brought_back(world: World) -> None:
    host, listener = await speaker(world)
    await world.fault(Fault.SIGNAL_DROP, ROOM, "listener", seconds=4.0)
    await world.engine.execute(EndRoom(room=ROOM))
    await world.clock.advance(10.0)
    for session in (host, listener):
        end = session.ended.value
        assert end is not None
        assert end.reason == "room_ended"


async def test_a_client_that_fell_behind_with_the_events_recovers_and_says_so(world: World) -> None:
    host, listener = await speaker(world)
    events = listener.events.reader()
    mirror = listener._mirror
    assert mirror is not None
    assert mirror._subscription is not None
    mirror._subscription.events.capacity = 2
    for index in (1, 2, 3, 4):
        await host.lock_seat(index)
    await world.settle()
    assert now(listener.seats) == now(host.seats)
    assert now(listener.sync) == "live"
    resynced = [event.recovered for event in iter(events.get_nowait, None) if isinstance(event, Resynced)]
    assert resynced in ([True], [])


async def test_events_that_cannot_be_had_again_end_the_session_clearly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, listener = await speaker(world)

    async def fail(*_: object, **__: object) -> None:
        raise StoreFailed("the database is away")

    monkeypatch.setattr(type(listener._link), "subscribe", fail)
    mirror = listener._mirror
    assert mirror is not None
    assert mirror._subscription is not None
    mirror._subscription.events.close(Closed("the reader fell behind"))
    await world.settle()
    assert now(listener.sync) is SyncState.RECOVERING
    assert now(listener.connected)
    await world.clock.advance(70.0)
    assert now(listener.sync) is SyncState.LOST
    end = listener.ended.value
    assert end is not None
    assert (end.reason, type(end.error)) == ("sync_lost", StoreFailed)
    assert now(host.connected)
    monkeypatch.undo()
    await world.run(listener.rejoin())
    assert now(listener.sync) is SyncState.LIVE


async def test_a_connect_that_is_never_answered_ends_with_its_deadline_and_is_tried_again(world: World) -> None:
    host, _ = await speaker(world)
    await world.fault(Fault.CONNECT_SILENCE, ROOM, "host")
    await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
    assert now(host.state) is SessionState.RECONNECTING
    await world.clock.advance(9.0)
    assert now(host.state) is SessionState.RECONNECTING
    await world.clock.advance(3.0)
    assert now(host.connected)


async def test_closing_the_engine_ends_every_session_clearly(way: Way) -> None:
    async with World(way, EngineSettings(return_grace=5.0)) as world:
        host, listener = await speaker(world)
        await world.engine.aclose()
        await world.clock.advance(120.0)
        for session in (host, listener):
            assert now(session.state) is SessionState.DISCONNECTED
            assert now(session.ended) is not None


def test_reasons_that_end_a_session_are_told_from_those_that_do_not() -> None:
    from utd_core.client.sessions.session import _FINAL

    assert set(_FINAL) == {
        DisconnectReason.REMOVED,
        DisconnectReason.ROOM_CLOSED,
        DisconnectReason.DUPLICATE_IDENTITY,
    }


def _unreachable(execute: object, is_away: object, identity: str) -> object:
    async def maybe(link: object, command: object, **options: object) -> object:
        if is_away() and link.session.identity == identity:  # type: ignore[attr-defined,operator]  # a stand-in
            raise ConnectionLost("the engine is away")
        return await execute(link, command, **options)  # type: ignore[operator]  # as it was called

    return maybe
