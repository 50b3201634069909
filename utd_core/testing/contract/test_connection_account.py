"""Statistics, and what the declarations are worth: C102 to C110."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import ConnectFailed, DeadlineExceeded, Unsupported
from ...media.backend import ConnectOptions, PublishOptions
from ...media.events import DataReceived, ParticipantJoined, TrackSubscribed
from ...media.faults import Fault
from ...media.quality import VideoQuality
from ...model.permission import TrackSource
from ..clock import VirtualClock
from ..leaks import Snapshot
from .harness import SPEAKER, Harness
from .peer import Peer
from .proof import proves, refused
from .signals import tone
from .test_connection_lifecycle import gone, pair
from .test_connection_media import arrived

CYCLES = 20


@proves("C102")
async def test_frames_and_bytes_are_counted_on_both_sides(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    sound = tone(440.0, seconds=0.6)
    await harness.play(track, sound)
    await arrived(harness, listener)
    (sent,) = (await harness.within(ann.connection.statistics())).sent
    (received,) = (await harness.within(bob.connection.statistics())).received
    assert sent.track.id == received.track.id == track.info.id
    assert (sent.frames, sent.dropped) == (len(sound), 0)
    assert sent.bytes > 0
    assert received.bytes > 0
    assert received.frames > 0
    if harness.capabilities.exact_media:
        assert (received.frames, received.bytes) == (sent.frames, sent.bytes)
        assert sent.bytes == sum(len(frame.data) for frame in sound)
    await harness.within(track.unpublish())
    await listener.end()
    assert (await harness.within(ann.connection.statistics())).sent == ()
    assert (await harness.within(bob.connection.statistics())).received == ()


@proves("C103")
async def test_data_messages_are_counted_on_both_sides(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    for number in range(5):
        await harness.within(ann.connection.send_data(b"%d" % number))
    await bob.expect(DataReceived, count=5)
    sender, receiver = [await harness.within(peer.connection.statistics()) for peer in (ann, bob)]
    assert (sender.data_sent, sender.data_received) == (5, 0)
    assert (receiver.data_sent, receiver.data_received) == (0, 5)


@proves("C104")
async def test_the_counters_of_the_events_are_in_the_statistics(harness: Harness) -> None:
    room = await harness.room()
    connection = await harness.connect(await harness.ticket(room, "ann"))
    await harness.join(room, "bob")
    await harness.eventually(lambda: len(connection.events))
    waiting = (await harness.within(connection.statistics())).events
    assert waiting is not None
    assert (waiting.delivered, waiting.dropped) == (0, 0)
    assert waiting.accepted == waiting.waiting >= 1
    ann = harness.watch(connection)
    await ann.expect(ParticipantJoined)
    taken = (await harness.within(connection.statistics())).events
    assert taken is not None
    assert taken.delivered == len(ann.log)


@proves("C105")
async def test_coming_and_going_over_and_over_leaves_nothing(harness: Harness) -> None:
    room = await harness.room()
    bob = await harness.join(room, "bob")

    async def cycle(number: int) -> None:
        connection = await harness.connect(await harness.ticket(room, "ann"))
        track = await harness.within(connection.publish(PublishOptions(TrackSource.MICROPHONE)))
        await bob.expect(TrackSubscribed, track=track.info.id)
        listener = harness.listen(bob.connection.read(track.info.id))
        await harness.play(track, tone(440.0, seconds=0.06))
        await harness.within(connection.aclose())
        await listener.end()
        await bob.expect(type(await gone(bob, "ann")), count=number)

    await cycle(1)
    before = Snapshot.take()
    for number in range(2, CYCLES):
        await cycle(number)
    await harness.left_nothing(before, f"{CYCLES} participants that came and went")
    assert not bob.connection.participants
    assert (await harness.within(bob.connection.statistics())).received == ()


@proves("C106")
async def test_no_more_participants_connect_than_are_declared(harness: Harness) -> None:
    limit = harness.capabilities.max_participants
    assert limit is not None
    room = await harness.room()
    for number in range(limit):
        await harness.join(room, f"identity-{number}")
    ticket = await harness.ticket(room, "one-too-many")
    with refused(ConnectFailed):
        await harness.connect(ticket)


@proves("C107")
async def test_a_deadline_passes_only_when_the_virtual_clock_moves(harness: Harness) -> None:
    clock = harness.clock
    assert isinstance(clock, VirtualClock)
    room = await harness.room()
    ticket = await harness.ticket(room, "ann")
    await harness.within(harness.backend.inject(Fault.CONNECT_SILENCE, room, "ann"))
    connecting = asyncio.ensure_future(harness.backend.connect(ticket, ConnectOptions(deadline=0.05)))
    await clock.settle()
    await asyncio.sleep(0.1)
    await clock.settle()
    assert not connecting.done(), "the deadline passed in real time, though the virtual clock stands still"
    await clock.advance(0.049)
    await clock.settle()
    assert not connecting.done()
    await clock.advance(0.002)
    with refused(DeadlineExceeded):
        await harness.within(connecting)


Attempt = Callable[[], Awaitable[Any]]


def attempts(harness: Harness, peer: Peer) -> dict[str, list[Attempt]]:
    """What must not work when a capability is denied, by the name of the capability."""
    connection = peer.connection

    def publish(source: TrackSource) -> Attempt:
        return lambda: connection.publish(PublishOptions(source))

    async def take_control() -> object:
        return harness.backend.control

    trying: dict[str, list[Attempt]] = {
        "audio": [publish(TrackSource.MICROPHONE)],
        "video": [publish(TrackSource.CAMERA)],
        "screen_share": [publish(TrackSource.SCREEN_SHARE), publish(TrackSource.SCREEN_SHARE_AUDIO)],
        "data": [lambda: connection.send_data(b"payload")],
        "data_lossy": [lambda: connection.send_data(b"payload", reliable=False)],
        "data_targeted": [lambda: connection.send_data(b"payload", to=["bob"])],
        "data_topics": [lambda: connection.send_data(b"payload", topic="chat")],
        "selective_subscription": [lambda: connection.set_subscribed("no-such-track", False)],
        "simulcast": [lambda: connection.set_quality("no-such-track", VideoQuality.LOW)],
        "control": [take_control],
    }
    if harness.capabilities.control:
        control, room = harness.control, connection.room

        async def listen() -> None:
            await anext(control.notifications())

        trying["data"].append(lambda: control.send_data(room, b"payload"))
        trying["data_targeted"].append(lambda: control.send_data(room, b"payload", to=["ann"]))
        trying["data_topics"].append(lambda: control.send_data(room, b"payload", topic="chat"))
        trying["server_mute"] = [lambda: control.mute_track(room, "ann", "no-such-track")]
        trying["grants_live"] = [lambda: control.apply_grant(room, "ann", SPEAKER)]
        trying["notifications"] = [listen]
        trying["profiles"] = [
            lambda: control.update_participant(room, "ann", metadata="m"),
            lambda: control.issue_join(room, "bob", grant=SPEAKER, attributes={"mood": "happy"}),
        ]
    return trying


@proves("C108")
async def test_what_is_denied_raises_unsupported(harness: Harness) -> None:
    ann = await harness.join(await harness.room(), "ann")
    can = harness.capabilities
    for capability, trying in attempts(harness, ann).items():
        if getattr(can, capability) or (capability.startswith("data_") and not can.data):
            continue
        for attempt in trying:
            error = await unsupported(harness, attempt, capability)
            assert names(error, capability), f"{error.message!r} does not name the feature {capability!r}"


@proves("C109")
async def test_a_fault_that_is_not_listed_raises_unsupported(harness: Harness) -> None:
    room = await harness.room()
    await harness.join(room, "ann")
    for fault in set(Fault) - harness.spec.faults:

        async def attempt(fault: Fault = fault) -> None:
            await harness.backend.inject(fault, room, "ann")

        error = await unsupported(harness, attempt, fault)
        assert names(error, fault), f"{error.message!r} does not name the fault {fault.value!r}"


@proves("C110")
async def test_what_the_backend_declares_is_what_its_plugin_registered(harness: Harness) -> None:
    backend, spec = harness.backend, harness.spec
    assert (backend.name, backend.capabilities, backend.faults) == (spec.name, spec.capabilities, spec.faults)


async def unsupported(harness: Harness, attempt: Attempt, what: str) -> Unsupported:
    """The error of an attempt at something that is denied; it names the backend."""
    with refused(Unsupported, what=f"{what} is denied: ") as caught:
        await harness.within(attempt())
    error = caught[0]
    assert harness.name in error.message, f"{error.message!r} does not name the backend {harness.name!r}"
    return error


def names(error: Unsupported, feature: str) -> bool:
    """The message names the feature, with blanks or hyphens for underscores if it likes."""
    return feature.replace("_", " ") in error.message.lower().replace("_", " ").replace("-", " ")
