"""The way between two: killed, rebuilt, and what lives on meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.media.backend import WireStatistics
from utd_core.media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    ParticipantLeft,
    StateChanged,
    TrackSubscribed,
    TrackUnpublished,
)
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame
from utd_core.testing.contract.signals import loud_seconds, pitch_share
from utd_webrtc_p2p.reliable import ReliableData
from utd_webrtc_p2p.wires import Numbered

from .world import MICROPHONE, ROOM, Person, Stage, becomes, cut, stage

pytestmark = pytest.mark.heavy

RECONNECTING, CONNECTED = ConnectionState.RECONNECTING, ConnectionState.CONNECTED


async def hears(frames: list[object]) -> None:
    start = len(frames)

    def heard() -> bool:
        recent = [frame for frame in frames[start:] if isinstance(frame, AudioFrame)][-20:]
        return loud_seconds(recent) > 0.2 and pitch_share(recent, 440.0) > 0.6

    await becomes(heard, "the hum")


async def test_a_killed_way_is_noticed_within_five_seconds_and_rebuilt() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(MICROPHONE)
        here.play(track)
        frames: list[object] = bob.collect(await bob.reads(track))  # type: ignore[assignment]  # a list of frames is one
        await hears(frames)
        clock = here.backend.clock
        began = clock.monotonic()
        cut(ann)
        cut(bob)
        await bob.expect(StateChanged, lambda event: event.state is RECONNECTING)
        assert clock.monotonic() - began <= 5.0
        await bob.expect(StateChanged, lambda event: event.state is CONNECTED)
        await hears(frames)
        assert not bob.told(TrackUnpublished)
        assert len(bob.told(TrackSubscribed)) == 1
        stamps = [frame.timestamp_us for frame in frames if isinstance(frame, AudioFrame)]
        assert stamps == sorted(set(stamps))
        assert (await bob.connection.statistics()).reconnects == 1


async def test_reliable_data_said_while_the_way_is_dead_arrives_once_and_in_order() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        for number in range(10):
            await ann.connection.send_data(b"%d" % number)
        cut(ann)
        cut(bob)
        for number in range(10, 20):
            await ann.connection.send_data(b"%d" % number)
        await bob.expect(DataReceived, lambda event: event.payload == b"19")
        assert [event.payload for event in bob.told(DataReceived)] == [b"%d" % number for number in range(20)]


async def test_signals_that_drop_never_touch_the_way() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(MICROPHONE)
        here.play(track)
        frames: list[object] = bob.collect(await bob.reads(track))  # type: ignore[assignment]  # a list of frames is one
        generation = ann.connection.native.live_generation
        for _ in range(3):
            await here.backend.inject(Fault.SIGNAL_DROP, ROOM, "ann", seconds=0.3)
            await hears(frames)
            await becomes(lambda: ann.connection.state is CONNECTED, "the signal back")
        assert ann.connection.native.live_generation == bob.connection.native.live_generation == generation
        assert not bob.told(StateChanged)


async def test_what_was_asked_while_the_signal_was_away_is_done_when_it_is_back() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(MICROPHONE)
        await bob.reads(track)
        await here.backend.inject(Fault.SIGNAL_DROP, ROOM, "ann", seconds=0.5)
        await ann.expect(StateChanged, lambda event: event.state is RECONNECTING)
        camera, _ = await asyncio.gather(ann.publish(MICROPHONE), track.unpublish())
        await bob.expect(TrackSubscribed, lambda event: event.track.id == camera.info.id)
        await becomes(lambda: [one.id for one in bob.connection.participants["ann"].tracks] == [camera.info.id])


async def test_a_signal_that_stays_away_ends_the_connection() -> None:
    async with stage(recovery_timeout=2.0) as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        await here.backend.inject(Fault.SIGNAL_DROP, ROOM, "ann", seconds=30.0)
        ended = await ann.expect(StateChanged, lambda event: event.state is ConnectionState.DISCONNECTED)
        assert ended.reason is DisconnectReason.SIGNAL_LOST
        assert (await bob.expect(ParticipantLeft)).reason is DisconnectReason.SIGNAL_LOST


async def test_a_way_that_does_not_come_back_ends_the_connection() -> None:
    async with stage(recovery_timeout=1.0, heartbeat=0.1, heartbeat_timeout=0.5, path_timeout=0.3) as here:
        ann = await here.join("ann")
        bob = await here.join("bob")
        await silence_of(here, bob)
        cut(bob)

        def ended() -> list[StateChanged]:
            told = [*ann.told(StateChanged), *bob.told(StateChanged)]
            return [event for event in told if event.state is ConnectionState.DISCONNECTED]

        # Whoever gives up first; the other one is alone then, which needs no way.
        assert [event.reason for event in await becomes(ended, "an end")] == [DisconnectReason.SIGNAL_LOST]


async def silence_of(here: Stage, person: Person) -> None:
    """From now on this participant builds no way."""
    person.connection.native.pair = lambda pairing: None  # type: ignore[method-assign]  # a peer that is stuck
    await here.backend.clock.sleep(0)


async def test_the_round_trip_is_measured() -> None:
    async with stage(heartbeat=0.1) as here:
        ann, _ = await here.join("ann"), await here.join("bob")

        async def measured() -> float | None:
            return (await ann.connection.statistics()).round_trip_ms

        found = None
        while found is None:
            found = await measured()
            await asyncio.sleep(0.01)
        assert 0 < found < 1_000


async def test_the_network_s_figures_of_a_track_are_counted_on_both_sides() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(MICROPHONE)
        here.play(track)
        bob.collect(await bob.reads(track))

        async def wires() -> tuple[WireStatistics | None, WireStatistics | None]:
            (sent,) = (await ann.connection.statistics()).sent
            (received,) = (await bob.connection.statistics()).received
            return sent.wire, received.wire

        while True:
            going, coming = await wires()
            if going is not None and coming is not None and going.jitter_ms is not None and going.packets > 50:
                break
            await asyncio.sleep(0.01)
        assert 0 < coming.packets <= going.packets
        assert coming.packets_lost == going.packets_lost == 0
        assert going.bytes is not None
        assert 100 < going.bytes / going.packets < 160, "20 ms of mono at 48 kbit/s"
        assert coming.jitter_ms is not None
        assert 0 <= coming.jitter_ms < 500


def test_reliable_data_is_kept_until_it_is_acknowledged_and_passed_over_when_it_comes_twice() -> None:
    data = ReliableData()
    sent = [data.post("", b"%d" % number) for number in range(3)]
    assert list(data.again()) == sent
    data.acknowledge(2)
    assert list(data.again()) == sent[2:]
    assert [data.arrived(Numbered(number, "", b"")) for number in (1, 2, 2, 1, 3)] == [True, True, False, False, True]


async def test_a_sender_waits_while_too_much_is_under_way() -> None:
    data = ReliableData()
    while data._room.is_set():
        data.post("", bytes(10_000))
    waiting = asyncio.ensure_future(data.has_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    data.acknowledge(50)
    await waiting
