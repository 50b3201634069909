"""Every named fault: C80 to C93."""

from __future__ import annotations

from ...media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    ParticipantLeft,
    StateChanged,
    TrackPublished,
    TrackSubscribed,
)
from ...media.faults import Fault
from ...media.frames import Frame
from . import signals
from .harness import Harness
from .peer import Peer
from .proof import proves
from .signals import tone, tune
from .test_connection_lifecycle import pair
from .test_connection_media import arrived

HUM = tone(440.0, seconds=0.2)
CONNECTED, RECONNECTING = ConnectionState.CONNECTED, ConnectionState.RECONNECTING


async def inject(harness: Harness, fault: Fault, peer: Peer, **parameters: float) -> None:
    await harness.within(harness.backend.inject(fault, peer.connection.room, peer.identity, **parameters))


async def reconnected(harness: Harness, peer: Peer, outage: float) -> None:
    """Wait for RECONNECTING and CONNECTED, in this order."""
    await peer.expect(StateChanged, state=RECONNECTING)
    await peer.expect(StateChanged, state=CONNECTED, timeout=outage + harness.patience)
    assert [event.state for event in peer.told(StateChanged)] == [RECONNECTING, CONNECTED]
    assert peer.connection.state is CONNECTED


@proves("C80")
async def test_a_lost_signal_is_resumed_with_the_same_tracks(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    track_id, outage = track.info.id, 2 * harness.quiet
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await inject(harness, Fault.SIGNAL_DROP, ann, seconds=outage)
        await reconnected(harness, ann, outage)
        await listener.hears(440.0)
    assert track.info.id == track_id
    assert [info.id for info in bob.knows("ann") or ()] == [track_id]
    assert set(ann.connection.participants) == {"bob"}


@proves("C81")
async def test_the_others_see_nobody_leave_while_a_signal_is_resumed(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    outage = 2 * harness.quiet
    await inject(harness, Fault.SIGNAL_DROP, ann, seconds=outage)
    await reconnected(harness, ann, outage)
    await harness.settle()
    assert not bob.told(ParticipantLeft)
    assert not bob.told(StateChanged)
    assert set(bob.connection.participants) == {"ann"}


@proves("C82")
async def test_what_happened_while_the_signal_was_lost_is_known_afterwards(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    outage = 4 * harness.quiet
    await inject(harness, Fault.SIGNAL_DROP, ann, seconds=outage)
    await ann.expect(StateChanged, state=RECONNECTING)
    track = await bob.publish()
    await reconnected(harness, ann, outage)
    await ann.expect(TrackPublished, identity="bob", track=track.info.id)
    listener = await ann.listens(bob)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
    assert [info.id for info in ann.knows("bob") or ()] == [track.info.id]


@proves("C83")
async def test_a_full_reconnect_brings_tracks_back_with_the_same_ids(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    mine, other = await ann.publish(), await bob.publish()
    await bob.sees(ann)
    track_id, outage = mine.info.id, 2 * harness.quiet
    await inject(harness, Fault.FULL_RECONNECT, ann, seconds=outage)
    await reconnected(harness, ann, outage)
    await harness.settle()

    def back() -> bool:
        return [info.id for info in bob.knows("ann") or ()] == [track_id] and mine.info.id == track_id

    await harness.eventually(back, outage + harness.patience, what="the track back under its id")
    again = bob.told(TrackSubscribed, identity="ann")[-1].track.id
    assert again == track_id
    listener = await harness.eventually(lambda: bob.reading(track_id), what="the track to read")
    assert listener is not None
    async with harness.playing(mine, HUM):
        await listener.hears(440.0)
    assert (await ann.sees(bob)).id == other.info.id
    hears_bob = await ann.listens(bob)
    async with harness.playing(other, HUM):
        await hears_bob.hears(440.0)


@proves("C84")
async def test_reconnects_are_counted(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    assert (await harness.within(ann.connection.statistics())).reconnects == 0
    for number in range(1, 3):
        await inject(harness, Fault.FULL_RECONNECT, ann, seconds=harness.quiet)
        await ann.expect(StateChanged, state=CONNECTED, count=number)
        assert (await harness.within(ann.connection.statistics())).reconnects == number


@proves("C85")
async def test_a_connection_closed_while_it_reconnects_ends_promptly(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await inject(harness, Fault.SIGNAL_DROP, ann, seconds=10 * harness.patience)
    await ann.expect(StateChanged, state=RECONNECTING)
    began = harness.clock.monotonic()
    await harness.within(ann.connection.aclose())
    assert harness.clock.monotonic() - began <= harness.prompt
    assert (await ann.end()).reason is DisconnectReason.CLIENT_LEFT


async def ends_with(harness: Harness, fault: Fault, reason: DisconnectReason) -> None:
    """The fault ends the connection, with that reason; the identity may come back where the room still is."""
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await inject(harness, fault, ann)
    last = await ann.end()
    assert (last.state, last.reason) == (ConnectionState.DISCONNECTED, reason)
    assert ann.connection.state is ConnectionState.DISCONNECTED


@proves("C86")
async def test_the_end_by_the_server_says_so(harness: Harness) -> None:
    await ends_with(harness, Fault.SERVER_LEAVE, DisconnectReason.SERVER_SHUTDOWN)


@proves("C87")
async def test_the_death_of_the_server_is_noticed(harness: Harness) -> None:
    harness.patience *= 4
    await ends_with(harness, Fault.NODE_FAILURE, DisconnectReason.SIGNAL_LOST)


@proves("C88")
async def test_a_replacement_by_somebody_else_says_so(harness: Harness) -> None:
    await ends_with(harness, Fault.DUPLICATE_IDENTITY, DisconnectReason.DUPLICATE_IDENTITY)


@proves("C89")
async def test_the_end_of_the_token_says_so(harness: Harness) -> None:
    await ends_with(harness, Fault.TOKEN_EXPIRY, DisconnectReason.TOKEN_EXPIRED)


@proves("C90")
async def test_a_slow_subscriber_gets_frames_late_and_in_order(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    late = 2 * harness.quiet
    await inject(harness, Fault.SLOW_SUBSCRIBER, bob, seconds=late)
    began = harness.clock.monotonic()
    await harness.play(track, HUM)
    await arrived_after(harness, listener.frames, late)
    assert listener.arrivals[0] - began >= late / 2
    stamps = [frame.timestamp_us for frame in listener.frames]
    assert stamps == sorted(stamps)
    assert signals.pitch_share(listener.audio, 440.0) > 0.6


async def arrived_after(harness: Harness, frames: list[Frame], seconds: float) -> None:
    await harness.pass_time(seconds)
    await harness.eventually(lambda: frames, what="a frame")
    await harness.pass_time(seconds)


@proves("C91")
async def test_with_all_packets_lost_no_frame_arrives(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await inject(harness, Fault.PACKET_LOSS, bob, rate=1.0)
        await listener.silence()
        await harness.within(ann.connection.send_data(b"reliable"))
        await bob.expect(DataReceived, payload=b"reliable")
        await inject(harness, Fault.PACKET_LOSS, bob, rate=0.0)
        await listener.hears(440.0)


@proves("C92")
async def test_with_some_packets_lost_some_frames_arrive_in_order(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    await inject(harness, Fault.PACKET_LOSS, bob, rate=0.5)
    sound = tone(440.0, seconds=2.0)
    await harness.play(track, sound)
    await arrived(harness, listener)
    stamps = [frame.timestamp_us for frame in listener.frames]
    assert stamps == sorted(stamps)
    if harness.capabilities.exact_media:
        assert 0.2 * len(sound) < len(stamps) < 0.8 * len(sound)
    assert signals.loud_seconds(listener.audio) > 0


@proves("C93")
async def test_under_jitter_every_frame_arrives_in_order(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    await inject(harness, Fault.JITTER, bob, seconds=0.1)
    sound = tune((400.0, 1_000.0), seconds_each=0.4)
    await harness.play(track, sound)
    await arrived(harness, listener)
    stamps = [frame.timestamp_us for frame in listener.frames]
    assert stamps == sorted(stamps)
    assert signals.melody(listener.audio, (400.0, 1_000.0)) == [400.0, 1_000.0]
    if harness.capabilities.exact_media:
        assert listener.frames == sound
