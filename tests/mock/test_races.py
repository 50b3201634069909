"""Things that happen at the same time, named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from utd_core.errors import Closed, ConnectFailed, ConnectionLost, PublishRefused, UTDStreamException
from utd_core.media.backend import ConnectOptions
from utd_core.media.events import ConnectionState, DisconnectReason, StateChanged, TrackPublished
from utd_core.media.faults import Fault
from utd_mock import MockBackend, MockServer

from .stage import AUDIO, EVERYTHING, LISTENER, ROOM, Stage, of, seen, sound, stage


async def outcomes(it: Stage, *operations: Awaitable[Any]) -> list[Any]:
    tasks = [asyncio.ensure_future(operation) for operation in operations]
    await it.clock.advance_until(lambda: all(task.done() for task in tasks))
    return [task.exception() or task.result() for task in tasks]


async def test_publish_while_the_grant_is_taken_leaves_no_track() -> None:
    async with stage() as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        published, _ = await outcomes(it, ann.publish(AUDIO), it.control.apply_grant(ROOM, "ann", LISTENER))
        assert it.server.rooms[ROOM].participants["ann"].tracks == ()
        assert bob.participants["ann"].tracks == ()
        if not isinstance(published, PublishRefused):
            with pytest.raises(Closed):
                await published.write(sound())


async def test_publish_while_being_removed_ends() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        removed, published = await outcomes(it, it.control.remove_participant(ROOM, "ann"), ann.publish(AUDIO))
        assert removed is None
        assert isinstance(published, ConnectionLost)


async def test_connect_while_the_room_closes_fails_or_is_disconnected() -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        connected, _ = await outcomes(it, it.backend.connect(ticket), it.control.close_room(ROOM))
        assert isinstance(connected, ConnectFailed) or connected.state is ConnectionState.DISCONNECTED
        assert await it.control.list_participants(ROOM) == []


async def test_two_connects_of_one_identity_leave_exactly_one() -> None:
    async with stage() as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        both = await outcomes(it, it.backend.connect(ticket), it.backend.connect(ticket))
        assert sorted(connection.state for connection in both) == ["connected", "disconnected"]
        assert len(await it.control.list_participants(ROOM)) == 1


async def test_twenty_connects_into_ten_places_let_ten_in() -> None:
    async with stage(latency_ms=10) as it:
        await it.control.create_room(ROOM, max_participants=10)
        tickets = [await it.control.issue_join(ROOM, f"p{n}", grant=EVERYTHING) for n in range(20)]
        ended = await outcomes(it, *(it.backend.connect(ticket) for ticket in tickets))
        assert sum(isinstance(each, ConnectFailed) for each in ended) == 10


@pytest.mark.parametrize("latency", [0, 50])
async def test_close_during_a_waiting_publish_ends_it_with_closed_at_once(latency: int) -> None:
    async with stage(latency_ms=latency) as it:
        ann = await it.join("ann")
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=30.0)
        publishing = asyncio.ensure_future(ann.publish(AUDIO))
        await it.clock.settle()
        begin = it.clock.monotonic()
        await ann.aclose()
        with pytest.raises(Closed):
            await publishing
        assert it.clock.monotonic() == begin


async def test_close_of_the_backend_during_a_silent_connect_ends_it_with_closed_at_once() -> None:
    async with stage() as it:
        await it.inject(Fault.CONNECT_SILENCE, "ann")
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        connecting = asyncio.ensure_future(it.backend.connect(ticket, ConnectOptions(deadline=1_000)))
        await it.clock.settle()
        await it.backend.aclose()
        with pytest.raises(Closed):
            await connecting


async def test_close_of_one_backend_does_not_end_the_silent_connect_of_another() -> None:
    async with stage() as it:
        await it.inject(Fault.CONNECT_SILENCE, "ann")
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        other, third = MockBackend({}, it.clock), MockBackend({}, it.clock)
        connecting = asyncio.ensure_future(other.connect(ticket))
        await it.clock.settle()
        await third.aclose()
        await it.clock.advance(5.0)
        assert not connecting.done()
        await it.server.aclose()
        with pytest.raises(ConnectFailed, match="closed"):
            await connecting
        await other.aclose()


async def test_a_cancelled_connect_leaves_nobody() -> None:
    async with stage(latency_ms=100) as it:
        ticket = await it.control.issue_join(ROOM, "ann", grant=EVERYTHING)
        connecting = asyncio.ensure_future(it.backend.connect(ticket))
        await it.clock.advance(0.1)
        connecting.cancel()
        await asyncio.wait([connecting])
        await it.clock.advance(1.0)
        assert await it.control.list_participants(ROOM) == []
        assert it.clock.pending == ()


async def test_a_cancelled_publish_leaves_no_track() -> None:
    async with stage(latency_ms=100) as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        publishing = asyncio.ensure_future(ann.publish(AUDIO))
        await it.clock.advance(0.1)
        publishing.cancel()
        await asyncio.wait([publishing])
        await it.clock.advance(1.0)
        assert of(TrackPublished, seen(bob)) == []


async def test_closing_from_several_tasks_at_once_tells_the_others_once() -> None:
    async with stage() as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        seen(bob)
        await outcomes(it, *(ann.aclose() for _ in range(5)), it.backend.control.list_rooms())
        assert len(seen(bob)) == 1
        assert seen(ann)[-1] == StateChanged(ConnectionState.DISCONNECTED, DisconnectReason.CLIENT_LEFT)
        with pytest.raises(Closed):
            await ann.statistics()


async def test_many_first_uses_of_a_server_at_once_start_it_once() -> None:
    it = Stage()
    before = asyncio.all_tasks()
    await outcomes_of_many_rooms(it)
    names = [task.get_name() for task in asyncio.all_tasks() - before]
    assert len(names) == 2, f"the scope and the agenda, not {names}"
    await it.backend.aclose()


async def outcomes_of_many_rooms(it: Stage) -> None:
    await asyncio.gather(*(it.control.create_room(f"room-{n}") for n in range(20)))
    assert len(await it.control.list_rooms()) == 20


async def test_the_server_closing_while_control_waits_is_a_connect_failed() -> None:
    async with stage() as it:
        server = MockServer(it.clock)
        backend = MockBackend({"server": server}, it.clock)
        created, _ = await outcomes(it, backend.control.create_room("late"), server.aclose())
        assert created is None or isinstance(created, UTDStreamException)
        with pytest.raises(ConnectFailed):
            await backend.control.create_room("later")
        await backend.aclose()


async def test_a_connection_nobody_closed_ends_with_its_backend() -> None:
    async with stage() as it:
        abandoned = await it.join("ann")
        await it.publish(abandoned)
        events = abandoned.events
        del abandoned
        await it.backend.aclose()
        last = [event async for event in events][-1]
        assert last == StateChanged(ConnectionState.DISCONNECTED, DisconnectReason.CLIENT_LEFT)


async def test_a_signal_backlog_beyond_all_bounds_ends_the_connection_instead_of_growing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("utd_mock.link._SIGNALS_UNDER_WAY", 50)
    async with stage() as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        await it.inject(Fault.SIGNAL_DROP, "bob", seconds=60.0)
        for _ in range(30):
            track = await it.publish(ann)
            await track.unpublish()
        assert seen(bob)[-1] == StateChanged(ConnectionState.DISCONNECTED, DisconnectReason.SIGNAL_LOST)
        assert "bob" not in ann.participants


async def test_a_media_backlog_beyond_all_bounds_loses_the_newest_and_counts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("utd_mock.link._MEDIA_UNDER_WAY", 10)
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await it.inject(Fault.SLOW_SUBSCRIBER, "bob", seconds=1.0)
        for number in range(20):
            await track.write(sound(number))
        await it.clock.advance(1.0)
        snapshot = it.server.rooms[ROOM].participants["bob"].subscriptions[track.info.id]
        assert snapshot.delivered == reader.statistics().waiting
        assert snapshot.delivered + snapshot.lost == 20
        assert 0 < snapshot.lost <= 10
