"""What can be seen of the server: snapshots, the trace of control calls, notifications; and its parts."""

from __future__ import annotations

import asyncio
import gc

import pytest

from utd_core.concurrency import Overflow
from utd_core.errors import InvalidInput, NotFound
from utd_core.media.events import DisconnectReason, NotificationKind
from utd_core.testing import VirtualClock
from utd_mock import ControlCall
from utd_mock.agenda import Agenda
from utd_mock.line import DelayLine

from .stage import LISTENER, ROOM, SPEAKER, notified, sound, stage


async def test_the_snapshot_shows_rooms_participants_tracks_and_subscriptions() -> None:
    async with stage() as it:
        await it.control.create_room(ROOM, max_participants=5)
        _, bob, track = await it.pair()
        bob.read(track.info.id)
        await track.write(sound())
        room = it.server.rooms[ROOM]
        assert (room.name, room.max_participants, list(room.participants)) == (ROOM, 5, ["ann", "bob"])
        (published,) = room.participants["ann"].tracks
        assert (published.info, published.frames, published.bytes, published.subscribers) == (
            track.info,
            1,
            1_920,
            ("bob",),
        )
        subscription = room.participants["bob"].subscriptions[track.info.id]
        assert (subscription.publisher, subscription.delivered, subscription.readers) == ("ann", 1, 1)
        await track.write(sound())
        assert published.frames == 1, "a snapshot does not change"


async def test_the_trace_has_every_control_call_with_its_error() -> None:
    async with stage() as it:
        it.server.trace.clear()
        await it.clock.advance(1.0)
        await it.control.create_room("other")
        with pytest.raises(NotFound):
            await it.control.apply_grant("other", "ann", SPEAKER)
        with pytest.raises(InvalidInput):
            await it.control.close_room("")
        now = it.clock.now()
        assert list(it.server.trace) == [
            ControlCall(now, "create_room", "other", arguments={"max_participants": None}),
            ControlCall(now, "apply_grant", "other", "ann", {"grant": SPEAKER}, "NotFound"),
            ControlCall(now, "close_room", "", error="InvalidInput"),
        ]


async def test_notifications_tell_of_everything_in_order() -> None:
    async with stage() as it:
        stream = it.control.notifications()
        ann, _, track = await it.pair()
        await track.unpublish()
        await ann.aclose()
        await it.control.close_room(ROOM)
        kinds = NotificationKind
        told = await notified(stream)
        assert [(each.kind, each.identity, each.reason) for each in told] == [
            (kinds.PARTICIPANT_JOINED, "ann", None),
            (kinds.PARTICIPANT_JOINED, "bob", None),
            (kinds.TRACK_PUBLISHED, "ann", None),
            (kinds.TRACK_UNPUBLISHED, "ann", None),
            (kinds.PARTICIPANT_LEFT, "ann", DisconnectReason.CLIENT_LEFT),
            (kinds.PARTICIPANT_LEFT, "bob", DisconnectReason.ROOM_CLOSED),
            (kinds.ROOM_CLOSED, None, DisconnectReason.ROOM_CLOSED),
        ]
        assert len({each.id for each in told}) == len(told)
        assert {each.room for each in told} == {ROOM}


async def test_a_listener_nobody_holds_is_forgotten_and_one_that_is_closed_ends() -> None:
    async with stage() as it:
        it.control.notifications()
        gc.collect()
        assert len(it.server.listeners) == 0
        stream = it.control.notifications()
        await it.join("ann")
        await stream.aclose()
        await it.join("bob")
        assert [each.identity async for each in stream] == ["ann"]


async def test_notifications_end_with_the_server_after_what_is_held() -> None:
    async with stage() as it:
        stream = it.control.notifications()
        await it.join("ann", LISTENER)
        await it.backend.aclose()
        assert [each.kind async for each in stream] == [
            NotificationKind.PARTICIPANT_JOINED,
            NotificationKind.PARTICIPANT_LEFT,
        ]


async def test_timers_of_one_time_fire_in_the_order_they_were_asked_and_cancelled_ones_never() -> None:
    clock = VirtualClock()
    agenda = Agenda(clock, "test")
    await agenda.open()
    fired: list[str] = []
    agenda.after(2.0, lambda: fired.append("late"))
    agenda.after(1.0, lambda: fired.append("first"))
    dropped = agenda.after(0.5, lambda: fired.append("cancelled"))
    agenda.after(1.0, lambda: fired.append("second"))
    await clock.settle()
    agenda.cancel(dropped)
    await clock.settle()
    assert list(clock.pending) == [1.0]
    agenda.after(0.1, lambda: agenda.after(0.1, lambda: fired.append("nested")))
    await clock.advance(1.0)
    assert fired == ["nested", "first", "second"]
    await agenda.aclose()
    await clock.advance(5.0)
    assert fired == ["nested", "first", "second"]
    assert list(clock.pending) == []


async def test_a_timer_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    agenda = Agenda(clock, "test")
    await agenda.open()
    fired = asyncio.Event()
    agenda.after(1.0, lambda: 1 // 0)
    agenda.after(1.0, fired.set)
    await clock.advance(1.0)
    assert fired.is_set()
    assert "a timer of the mock server failed" in caplog.text
    await agenda.aclose()


async def test_a_line_keeps_the_order_holds_releases_and_tells_when_it_is_empty() -> None:
    clock = VirtualClock()
    agenda = Agenda(clock, "test")
    await agenda.open()
    arrived: list[tuple[float, str]] = []
    drained: list[float] = []
    line: DelayLine[str] = DelayLine(
        agenda,
        lambda item: arrived.append((clock.monotonic(), item)),
        capacity=3,
        overflow=Overflow.DROP_NEWEST,
        drained=lambda: drained.append(clock.monotonic()),
    )
    assert line.send("a", 2.0)
    assert line.send("b", 1.0), "sent later, so it arrives later"
    await clock.advance(2.0)
    assert arrived == [(2.0, "a"), (2.0, "b")]
    assert drained == [2.0]
    line.send("c", 3.0)
    line.hold()
    await clock.advance(3.0)
    line.send("d", 5.0)
    assert len(arrived) == 2
    line.release()
    await clock.advance(0.0)
    assert arrived[2:] == [(5.0, "c"), (5.0, "d")]
    for item in "efghi":
        line.send(item, 9.0)
    line.close()
    line.close()
    assert line.empty
    await clock.advance(9.0)
    assert len(arrived) == 4
    await agenda.aclose()
