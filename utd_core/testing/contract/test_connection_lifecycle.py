"""Connecting and disconnecting: C1 to C16."""

from __future__ import annotations

import anyio

from ...errors import Closed, DeadlineExceeded
from ...media.backend import ConnectOptions, PublishOptions
from ...media.events import (
    ConnectionState,
    DisconnectReason,
    ParticipantJoined,
    ParticipantLeft,
    TrackSubscribed,
)
from ...media.faults import Fault
from ...media.quality import VideoQuality
from ...model.permission import TrackSource
from .harness import EVERYTHING, LISTENER, Harness
from .peer import Peer
from .proof import proves, refused
from .signals import tone

HUM = tone(440.0, seconds=0.2)


async def pair(harness: Harness) -> tuple[str, Peer, Peer]:
    """A room with ann and bob, both of whom may do everything."""
    room = await harness.room()
    ann, bob = await harness.join(room, "ann"), await harness.join(room, "bob")
    await ann.expect(ParticipantJoined, lambda event: event.participant.identity == "bob")
    return room, ann, bob


async def gone(peer: Peer, identity: str) -> ParticipantLeft:
    """Wait until the peer was told that somebody left."""
    return await peer.expect(ParticipantLeft, identity=identity)


@proves("C1")
async def test_a_new_connection_knows_where_it_is(harness: Harness) -> None:
    room = await harness.room()
    connection = (await harness.join(room, "ann", EVERYTHING)).connection
    assert connection.state is ConnectionState.CONNECTED
    assert (connection.room, connection.identity, connection.grant) == (room, "ann", EVERYTHING)
    assert dict(connection.participants) == {}
    assert connection.native is not None


@proves("C2")
async def test_who_is_there_already_is_known_when_connect_returns(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann", name="Ann A.")
    connection = await harness.connect(await harness.ticket(room, "bob"))
    assert set(connection.participants) == {"ann"}
    assert connection.participants["ann"].name == "Ann A."
    bob = harness.watch(connection)
    await ann.expect(ParticipantJoined)
    await harness.settle()
    assert not bob.told(ParticipantJoined), "who was there before is not told as joining"


@proves("C3")
async def test_those_who_are_there_are_told_once_of_a_join(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await harness.join(room, "bob", name="Bob B.")
    joined = await ann.expect(ParticipantJoined)
    assert (joined.participant.identity, joined.participant.name) == ("bob", "Bob B.")
    assert set(ann.connection.participants) == {"bob"}
    await harness.settle()
    assert len(ann.told(ParticipantJoined)) == 1


@proves("C4")
async def test_a_connection_is_never_among_its_own_participants(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    if harness.capabilities.audio:
        await ann.publish()
        await bob.announced(ann)
    for peer, other in ((ann, "bob"), (bob, "ann")):
        assert set(peer.connection.participants) == {other}
        assert all(event.participant.identity == other for event in peer.told(ParticipantJoined))


@proves("C5")
async def test_a_silent_server_runs_into_the_deadline(harness: Harness) -> None:
    room = await harness.room()
    ticket = await harness.ticket(room, "ann")
    await harness.within(harness.backend.inject(Fault.CONNECT_SILENCE, room, "ann"))
    deadline = 2 * harness.quiet
    began = harness.clock.monotonic()
    with refused(DeadlineExceeded):
        await harness.connect(ticket, ConnectOptions(deadline=deadline))
    took = harness.clock.monotonic() - began
    assert deadline * 0.95 <= took <= deadline + harness.prompt, f"the deadline was {deadline} s, it took {took} s"


@proves("C6")
async def test_a_connect_that_failed_leaves_nobody_behind(harness: Harness) -> None:
    room = await harness.room()
    bob = await harness.join(room, "bob")
    ticket = await harness.ticket(room, "ann")
    await harness.within(harness.backend.inject(Fault.CONNECT_SILENCE, room, "ann"))
    with refused(DeadlineExceeded):
        await harness.connect(ticket, ConnectOptions(deadline=harness.quiet))
    await harness.settle()
    assert set(bob.connection.participants) == set()
    assert len(bob.told(ParticipantJoined)) == len(bob.told(ParticipantLeft))
    ann = harness.watch(await harness.connect(ticket))
    assert set(ann.connection.participants) == {"bob"}
    await harness.eventually(lambda: set(bob.connection.participants) == {"ann"})


@proves("C7")
async def test_identities_that_connect_at_the_same_time_all_see_each_other(harness: Harness) -> None:
    room = await harness.room()
    names = {"ann", "bob", "cid", "dan"}
    peers: list[Peer] = []

    async def arrive(identity: str) -> None:
        peers.append(await harness.join(room, identity))

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(arrive, name)
    for peer in peers:

        def sees_all(peer: Peer = peer) -> bool:
            return set(peer.connection.participants) == names - {peer.identity}

        await harness.eventually(sees_all, what=f"everybody in the participants of {peer.identity}")


@proves("C8")
async def test_leaving_ends_the_events_with_client_left(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    await harness.within(ann.connection.aclose())
    last = await ann.end()
    assert (last.state, last.reason) == (ConnectionState.DISCONNECTED, DisconnectReason.CLIENT_LEFT)
    assert ann.connection.state is ConnectionState.DISCONNECTED


@proves("C9")
async def test_the_others_are_told_once_of_a_leave(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    await harness.within(ann.connection.aclose())
    assert (await gone(bob, "ann")).reason in (DisconnectReason.CLIENT_LEFT, DisconnectReason.UNKNOWN)
    assert set(bob.connection.participants) == set()
    await harness.settle()
    assert len(bob.told(ParticipantLeft)) == 1


@proves("C10")
async def test_leaving_twice_and_at_once_is_fine(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ann.connection.aclose)

    await harness.within(all_at_once())
    await harness.within(ann.connection.aclose())
    await ann.end()
    assert len(ann.told(type(ann.log[-1]))) == 1


@proves("C11")
async def test_after_leaving_every_method_raises_closed(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    can, connection = harness.capabilities, ann.connection
    track_id = "no-such-track"
    if can.audio:
        await bob.publish()
        track_id = (await ann.sees(bob)).id
    await harness.within(connection.aclose())
    with refused(Closed):
        connection.read(track_id)
    if can.audio:
        with refused(Closed):
            await harness.within(connection.publish(PublishOptions(TrackSource.MICROPHONE)))
    if can.selective_subscription:
        with refused(Closed):
            await harness.within(connection.set_subscribed(track_id, True))
    if can.simulcast:
        with refused(Closed):
            await harness.within(connection.set_quality(track_id, VideoQuality.LOW))
    if can.data:
        with refused(Closed):
            await harness.within(connection.send_data(b"too late"))
    with refused(Closed):
        await harness.within(connection.statistics())


@proves("C12")
async def test_who_left_connects_again(harness: Harness) -> None:
    room, ann, bob = await pair(harness)
    for round_number in range(1, 3):
        await harness.within(ann.connection.aclose())
        await bob.expect(ParticipantLeft, identity="ann", count=round_number)
        ann = await harness.join(room, "ann")
        assert set(ann.connection.participants) == {"bob"}
        await harness.eventually(lambda: set(bob.connection.participants) == {"ann"})


@proves("C13")
async def test_a_second_connection_of_an_identity_replaces_the_first(harness: Harness) -> None:
    room = await harness.room()
    first = await harness.join(room, "ann")
    second = await harness.join(room, "ann")
    last = await first.end()
    assert (last.state, last.reason) == (ConnectionState.DISCONNECTED, DisconnectReason.DUPLICATE_IDENTITY)
    await harness.settle()
    assert second.connection.state is ConnectionState.CONNECTED
    assert set(second.connection.participants) == set()
    # The first one's farewell must not take the second one along.
    await harness.within(first.connection.aclose())
    await harness.settle()
    assert second.connection.state is ConnectionState.CONNECTED


@proves("C14")
async def test_after_a_replacement_the_former_tracks_are_gone(harness: Harness) -> None:
    room, ann, bob = await pair(harness)
    await ann.publish()
    former = await bob.sees(ann)
    listener = harness.listen(bob.connection.read(former.id))
    second = await harness.join(room, "ann")
    await ann.end()
    await listener.end()
    await harness.eventually(lambda: bob.knows("ann") == ())
    track = await second.publish()
    await bob.expect(TrackSubscribed, track=track.info.id)
    assert [info.id for info in bob.knows("ann") or ()] == [track.info.id]
    again = harness.listen(bob.connection.read(track.info.id))
    async with harness.playing(track, HUM):
        await again.hears(440.0)


@proves("C15")
async def test_closing_the_backend_ends_every_connection(harness: Harness) -> None:
    room, ann, bob = await pair(harness)
    ticket = await harness.ticket(room, "cid")
    await harness.within(harness.backend.aclose())
    for peer in (ann, bob):
        assert (await peer.end()).state is ConnectionState.DISCONNECTED
        assert peer.connection.state is ConnectionState.DISCONNECTED
    with refused(Closed):
        await harness.connect(ticket)


@proves("C16")
async def test_closing_the_backend_twice_and_at_once_is_fine(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann", LISTENER)

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(harness.backend.aclose)

    await harness.within(all_at_once())
    await harness.within(harness.backend.aclose())
    await ann.end()
