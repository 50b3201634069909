"""Each named fault, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.errors import Closed, ConnectionLost, InvalidInput, MediaError
from utd_core.media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    NotificationKind,
    ParticipantJoined,
    ParticipantLeft,
    StateChanged,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
)
from utd_core.media.faults import NOTIFICATION_FAULTS, Fault
from utd_mock import MockBackend
from utd_mock.faults import DEFAULTS

from .stage import LISTENER, ROOM, SPEAKER, notified, of, seen, sound, stage, state_of, waiting_in

RECONNECTING = StateChanged(ConnectionState.RECONNECTING)
CONNECTED = StateChanged(ConnectionState.CONNECTED)


def gone(reason: DisconnectReason) -> StateChanged:
    return StateChanged(ConnectionState.DISCONNECTED, reason)


def test_every_fault_is_declared_and_has_its_parameters() -> None:
    assert MockBackend.faults == frozenset(Fault) == frozenset(DEFAULTS)


@pytest.mark.parametrize("fault", sorted(Fault))
async def test_every_fault_is_produced_with_its_defaults(fault: Fault) -> None:
    async with stage() as it:
        await it.pair()
        await it.inject(fault, None if fault in NOTIFICATION_FAULTS else "ann")
        await it.clock.advance(60.0)


async def test_a_signal_drop_keeps_media_holds_signals_and_delivers_them_before_connected() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        seen(bob)
        reader = bob.read(track.info.id)
        await it.inject(Fault.SIGNAL_DROP, "bob", seconds=10.0)
        assert state_of(bob) is ConnectionState.RECONNECTING
        await track.write(sound(1))
        await ann.send_data(b"beside the signal")
        await it.join("cid")
        assert await waiting_in(reader) == [sound(1)]
        assert [type(event) for event in seen(bob)] == [StateChanged, DataReceived]
        assert not it.server.rooms[ROOM].participants["bob"].reachable
        await it.clock.advance(9.999_999)
        assert seen(bob) == []
        await it.clock.advance(0.000_001)
        joined, connected = seen(bob)
        assert isinstance(joined, ParticipantJoined)
        assert connected == CONNECTED
        assert state_of(bob) is ConnectionState.CONNECTED
        assert (await bob.statistics()).reconnects == 1
        assert of(ParticipantLeft, seen(ann)) == []


async def test_a_request_during_a_signal_drop_waits_for_its_end() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=5.0)
        await it.publish(ann)
        assert it.clock.monotonic() == 5.0


async def test_a_second_outage_prolongs_the_first() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        await it.inject(Fault.FULL_RECONNECT, "ann", seconds=2.0)
        await it.clock.advance(1.0)
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=3.0)
        await it.clock.advance(2.0)
        assert state_of(ann) is ConnectionState.RECONNECTING
        await it.clock.advance(1.0)
        assert seen(ann) == [RECONNECTING, CONNECTED]


async def test_removed_during_a_signal_drop_is_told_when_the_signal_is_back_and_not_connected_first() -> None:
    async with stage() as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=5.0)
        await it.control.remove_participant(ROOM, "ann")
        assert "ann" not in bob.participants
        assert state_of(ann) is ConnectionState.RECONNECTING
        await it.clock.advance(5.0)
        assert [event for event in seen(ann) if isinstance(event, StateChanged)] == [
            RECONNECTING,
            gone(DisconnectReason.REMOVED),
        ]


async def test_a_full_reconnect_brings_the_same_track_back_for_those_who_were_there_and_for_those_who_came() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        seen(bob)
        old = bob.read(track.info.id)
        await it.inject(Fault.FULL_RECONNECT, "ann", seconds=2.0)
        assert seen(bob) == [TrackUnsubscribed("ann", track.info), TrackUnpublished("ann", track.info)]
        assert bob.participants["ann"].tracks == ()
        await track.write(sound(1))
        cid = await it.join("cid")
        assert cid.participants["ann"].tracks == ()
        assert (await it.control.list_participants(ROOM))[0].tracks == ()
        await it.clock.advance(2.0)
        assert state_of(ann) is ConnectionState.CONNECTED
        assert of(TrackPublished, seen(bob)) == [TrackPublished("ann", track.info)]
        assert of(TrackSubscribed, seen(cid)) == [TrackSubscribed("ann", track.info)]
        reader = bob.read(track.info.id)
        await track.write(sound(2))
        assert await waiting_in(reader) == [sound(2)]
        assert [frame async for frame in old] == []
        (sent,) = (await ann.statistics()).sent
        assert (sent.frames, sent.dropped) == (1, 1)


async def test_a_grant_taken_during_a_full_reconnect_keeps_the_track_away() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        await it.inject(Fault.FULL_RECONNECT, "ann", seconds=2.0)
        await it.control.apply_grant(ROOM, "ann", LISTENER)
        await it.clock.advance(2.0)
        assert bob.participants["ann"].tracks == ()
        assert GrantChanged(LISTENER) in seen(ann)
        with pytest.raises(Closed):
            await track.write(sound())


async def test_who_reconnects_fully_hears_on_afterwards_and_what_it_missed_is_counted() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await it.inject(Fault.FULL_RECONNECT, "bob", seconds=1.0)
        await track.write(sound(1))
        await ann.send_data(b"reliable")
        await ann.send_data(b"lossy", reliable=False)
        await it.clock.advance(1.0)
        await track.write(sound(2))
        assert await waiting_in(reader) == [sound(2)]
        (received,) = (await bob.statistics()).received
        assert (received.frames, received.dropped) == (1, 1)
        assert [event.payload for event in of(DataReceived, seen(bob))] == [b"reliable"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.SERVER_LEAVE, DisconnectReason.SERVER_SHUTDOWN),
        (Fault.TOKEN_EXPIRY, DisconnectReason.TOKEN_EXPIRED),
        (Fault.DUPLICATE_IDENTITY, DisconnectReason.DUPLICATE_IDENTITY),
    ],
    ids=str,
)
async def test_the_server_ends_the_connection_with_a_reason(fault: Fault, reason: DisconnectReason) -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        await it.inject(fault, "ann")
        assert seen(ann)[-1] == gone(reason)
        assert ParticipantLeft("ann", reason) in seen(bob)
        with pytest.raises(Closed):
            await track.write(sound())
        with pytest.raises(ConnectionLost, match=reason):
            await ann.send_data(b"x")
        await ann.aclose()
        assert ("ann" in bob.participants) == (fault is Fault.DUPLICATE_IDENTITY)


async def test_a_node_failure_is_noticed_late_and_ends_as_signal_lost() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        seen(ann)
        await it.inject(Fault.NODE_FAILURE, "ann", seconds=20.0)
        await track.write(sound())
        assert await waiting_in(reader) == []
        assert state_of(ann) is ConnectionState.CONNECTED
        await it.clock.advance(10.0)
        assert seen(ann) == [RECONNECTING]
        publishing = asyncio.ensure_future(ann.send_data(b"into the void"))
        await it.clock.advance(9.999_999)
        assert "ann" in bob.participants
        await it.clock.advance(0.000_001)
        assert seen(ann) == [gone(DisconnectReason.SIGNAL_LOST)]
        assert ParticipantLeft("ann", DisconnectReason.SIGNAL_LOST) in seen(bob)
        with pytest.raises(ConnectionLost):
            await publishing


async def test_no_outage_revives_a_dead_node() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        await it.inject(Fault.NODE_FAILURE, "ann", seconds=10.0)
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=1.0)
        await it.clock.advance(10.0)
        assert seen(ann) == [RECONNECTING, gone(DisconnectReason.SIGNAL_LOST)]


async def test_frames_reach_a_slow_subscriber_in_bursts_until_it_is_healed() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id, capacity=1_000)
        await it.inject(Fault.SLOW_SUBSCRIBER, "bob", seconds=1.0)
        counts = []
        for number in range(100):
            await track.write(sound(number))
            await it.clock.advance(0.02)
            counts.append(reader.statistics().waiting)
        assert (counts[48], counts[49], counts[98], counts[99]) == (0, 50, 50, 100)
        await it.inject(Fault.SLOW_SUBSCRIBER, "bob", seconds=0.0)
        await track.write(sound(100))
        assert [frame.timestamp_us // 20_000 for frame in await waiting_in(reader)] == list(range(101))


async def test_a_healed_link_does_not_let_a_new_frame_overtake_an_old_one() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await it.inject(Fault.SLOW_SUBSCRIBER, "bob", seconds=1.0)
        await track.write(sound(1))
        await it.inject(Fault.SLOW_SUBSCRIBER, "bob", seconds=0.0)
        await track.write(sound(2))
        assert await waiting_in(reader) == []
        await it.clock.advance(1.0)
        await track.write(sound(3))
        assert await waiting_in(reader) == [sound(1), sound(2), sound(3)]


async def test_packet_loss_and_its_healing() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        for rate in (1.0, 0.0):
            await it.inject(Fault.PACKET_LOSS, "bob", rate=rate)
            await track.write(sound())
        assert len(await waiting_in(reader)) == 1
        assert it.server.rooms[ROOM].participants["bob"].subscriptions[track.info.id].lost == 1


async def test_healing_a_fault_leaves_what_the_network_itself_does() -> None:
    async with stage(loss=1.0) as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await it.inject(Fault.PACKET_LOSS, "bob", rate=0.0)
        await track.write(sound())
        assert await waiting_in(reader) == []


async def test_a_delayed_grant_takes_effect_at_its_time_and_in_order() -> None:
    async with stage() as it:
        ann = await it.join("ann", LISTENER)
        await it.inject(Fault.GRANT_DELAY, "ann", seconds=3.0)
        await it.control.apply_grant(ROOM, "ann", SPEAKER)
        await it.clock.advance(1.0)
        await it.control.apply_grant(ROOM, "ann", LISTENER)
        await it.clock.advance(1.999_999)
        assert ann.grant == LISTENER
        assert seen(ann) == []
        await it.clock.advance(0.000_001)
        assert ann.grant == SPEAKER
        await it.clock.advance(1.0)
        assert seen(ann) == [GrantChanged(SPEAKER), GrantChanged(LISTENER)]


async def test_a_delayed_grant_of_somebody_who_left_is_forgotten() -> None:
    async with stage() as it:
        ann = await it.join("ann", LISTENER)
        await it.inject(Fault.GRANT_DELAY, "ann", seconds=3.0)
        await it.control.apply_grant(ROOM, "ann", SPEAKER)
        await ann.aclose()
        again = await it.join("ann", LISTENER)
        await it.clock.advance(5.0)
        assert again.grant == LISTENER


async def test_a_failed_grant_changes_nothing_and_the_next_one_works() -> None:
    async with stage() as it:
        ann = await it.join("ann", LISTENER)
        await it.inject(Fault.GRANT_FAILURE, "ann", times=2)
        for _ in range(2):
            with pytest.raises(MediaError):
                await it.control.apply_grant(ROOM, "ann", SPEAKER)
        assert ann.grant == it.there("ann").grant == LISTENER
        await it.control.apply_grant(ROOM, "ann", SPEAKER)
        assert ann.grant == SPEAKER


async def notifications_under(fault: Fault, **parameters: float) -> list[str]:
    async with stage() as it:
        stream = it.control.notifications()
        await it.inject(fault, **parameters)
        for identity in ("ann", "bob", "cid"):
            await it.join(identity)
        return [str(notification.identity) for notification in await notified(stream)]


async def test_notifications_get_lost_doubled_and_reversed_as_often_as_asked() -> None:
    assert await notifications_under(Fault.NOTIFICATIONS_LOST, times=2) == ["cid"]
    assert await notifications_under(Fault.NOTIFICATIONS_DOUBLED) == ["ann", "ann", "bob", "cid"]
    assert await notifications_under(Fault.NOTIFICATIONS_REVERSED, times=2) == ["bob", "ann", "cid"]
    assert await notifications_under(Fault.NOTIFICATIONS_REVERSED, times=5) == []


async def test_a_doubled_notification_has_one_id_and_others_have_their_own() -> None:
    async with stage() as it:
        stream = it.control.notifications()
        await it.inject(Fault.NOTIFICATIONS_DOUBLED)
        await it.join("ann")
        await it.join("bob")
        first, second, third = await notified(stream)
        assert first == second
        assert first.id != third.id


async def test_a_late_notification_comes_late_with_the_time_of_what_happened() -> None:
    async with stage() as it:
        stream = it.control.notifications()
        await it.inject(Fault.NOTIFICATIONS_DELAYED, times=1, seconds=10.0)
        begin = it.clock.now()
        await it.join("ann")
        await it.join("bob")
        assert [event.identity for event in await notified(stream)] == ["bob"]
        await it.clock.advance(10.0)
        assert [(event.identity, event.at) for event in await notified(stream)] == [("ann", begin)]


async def test_what_a_reversal_still_holds_comes_when_the_room_closes() -> None:
    async with stage() as it:
        stream = it.control.notifications()
        await it.inject(Fault.NOTIFICATIONS_REVERSED, times=100)
        await it.join("ann")
        await it.control.close_room(ROOM)
        assert [event.kind for event in await notified(stream)] == [
            NotificationKind.ROOM_CLOSED,
            NotificationKind.PARTICIPANT_LEFT,
            NotificationKind.PARTICIPANT_JOINED,
        ]


async def test_faults_of_one_room_leave_another_alone() -> None:
    async with stage() as it:
        await it.control.create_room("other")
        stream = it.control.notifications()
        await it.inject(Fault.NOTIFICATIONS_LOST)
        await it.join("ann", room="other")
        assert len(await notified(stream)) == 1


@pytest.mark.parametrize(
    ("fault", "parameters", "words"),
    [
        (Fault.SIGNAL_DROP, {"rate": 0.5}, "no parameter 'rate'; it takes seconds"),
        (Fault.SERVER_LEAVE, {"seconds": 1}, "it takes no parameters"),
        (Fault.DUPLICATE_IDENTITY, {"times": 1}, "no parameter 'times'"),
        (Fault.SIGNAL_DROP, {"seconds": -1}, "seconds must not be -1"),
        (Fault.PACKET_LOSS, {"rate": 2}, "rate must not be 2"),
        (Fault.GRANT_FAILURE, {"times": 0}, "whole number"),
        (Fault.GRANT_FAILURE, {"times": 1.5}, "whole number"),
        ("no_such_fault", {}, "there is no fault"),
    ],
)
async def test_bad_parameters_are_refused_by_name(fault: Fault, parameters: dict[str, float], words: str) -> None:
    async with stage() as it:
        await it.join("ann")
        with pytest.raises(InvalidInput, match=words):
            await it.inject(fault, "ann", **parameters)


@pytest.mark.parametrize("fault", [Fault.SIGNAL_DROP, Fault.DUPLICATE_IDENTITY])
async def test_a_fault_of_a_participant_needs_one(fault: Fault) -> None:
    async with stage() as it:
        with pytest.raises(InvalidInput, match="give its identity"):
            await it.inject(fault)
