"""Cancelling and closing at every await point: C94 to C101."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ...errors import Closed
from ...media.backend import LocalTrack, MediaConnection, PublishOptions
from ...media.events import ConnectionState, DisconnectReason, MediaEvent, ParticipantLeft, TrackSubscribed
from ...model.permission import TrackSource
from ..leaks import Snapshot
from .harness import Harness
from .interrupt import Closing, at_every_await, cancel
from .peer import Peer
from .proof import proves, refused
from .signals import tone
from .test_connection_lifecycle import pair

HUM = tone(440.0, seconds=0.2)
MICROPHONE = PublishOptions(TrackSource.MICROPHONE)
Operation = Coroutine[Any, Any, Any]


@proves("C94")
async def test_a_cancelled_connect_leaves_nobody_and_nothing_behind(harness: Harness) -> None:
    room = await harness.room()
    bob = await harness.join(room, "bob")
    ticket = await harness.ticket(room, "ann")
    await visit(harness, bob)
    before = Snapshot.take()

    async def prepare() -> Coroutine[Any, Any, MediaConnection]:
        return harness.backend.connect(ticket)

    async for struck in at_every_await(harness, prepare, cancel):
        assert struck.cancelled or struck.error is None, f"{struck}: {struck.error!r}"
        if struck.result is not None:
            await harness.within(struck.result.aclose())
        await harness.settle()
        await harness.eventually(lambda: not bob.connection.participants, what=f"{struck}: ann gone for bob")
        await harness.left_nothing(before, f"a connect {struck}")
    ann = harness.watch(await harness.connect(ticket))
    assert set(ann.connection.participants) == {"bob"}


@proves("C95")
async def test_a_cancelled_publish_leaves_no_half_published_track(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    await harness.settle()
    before = Snapshot.take()

    async def prepare() -> Coroutine[Any, Any, LocalTrack]:
        return ann.connection.publish(MICROPHONE)

    async for struck in at_every_await(harness, prepare, cancel):
        assert struck.cancelled or struck.error is None, f"{struck}: {struck.error!r}"
        if struck.result is not None:
            await harness.within(struck.result.unpublish())
        await harness.settle()
        # Settled is not seen: a busy machine has a server that is late.
        await harness.eventually(lambda: bob.knows("ann") == (), what=f"{struck}: the end of ann's track for bob")
        assert (await harness.within(ann.connection.statistics())).sent == (), f"{struck}: ann still has a track"
        await harness.left_nothing(before, f"a publish {struck}")
    await heard(harness, ann, bob)


async def visit(harness: Harness, bob: Peer) -> None:
    """Somebody comes and goes, so that bob's connection has opened what it needs for others."""
    visitor = await harness.join(bob.connection.room, "visitor")
    await harness.eventually(lambda: "visitor" in bob.connection.participants)
    await harness.settle()
    await harness.within(visitor.connection.aclose())
    await harness.eventually(lambda: not bob.connection.participants)


async def heard(harness: Harness, ann: Peer, bob: Peer) -> None:
    """The connections still work: ann publishes, bob hears it."""
    track = await ann.publish()
    await bob.expect(TrackSubscribed, track=track.info.id)
    listener = harness.listen(bob.connection.read(track.info.id, capacity=1_000))
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
    await harness.within(track.unpublish())
    await listener.end()


def operations(harness: Harness, ann: Peer, track: LocalTrack, theirs: str) -> dict[str, Callable[[], Operation]]:
    """What a participant with a published track, and a subscription to the track `theirs`, can do."""
    connection = ann.connection
    doing: dict[str, Callable[[], Operation]] = {
        "write": lambda: track.write(HUM[0]),
        "mute": lambda: track.set_muted(True),
        "unpublish": track.unpublish,
        "publish": lambda: connection.publish(MICROPHONE),
        "statistics": connection.statistics,
    }
    if harness.capabilities.data:
        doing["data"] = lambda: connection.send_data(b"payload")
    if harness.capabilities.selective_subscription:
        doing["subscribe"] = lambda: connection.set_subscribed(theirs, False)
    return doing


OPERATIONS = ("write", "mute", "unpublish", "publish", "statistics", "data", "subscribe")


async def furnish(harness: Harness) -> tuple[Peer, Peer, dict[str, Callable[[], Operation]]]:
    """Ann and bob, both publishing, in a room of their own; and what ann can do."""
    _, ann, bob = await pair(harness)
    track, theirs = await ann.publish(), await bob.publish()
    await bob.sees(ann)
    await ann.sees(bob)
    return ann, bob, operations(harness, ann, track, theirs.info.id)


@proves("C96")
async def test_a_cancelled_operation_leaves_the_connection_working(harness: Harness) -> None:
    ann, bob, possible = await furnish(harness)
    for name in possible:

        async def prepare(name: str = name) -> Operation:
            track = await ann.publish()
            await bob.expect(TrackSubscribed, track=track.info.id)
            theirs = (await ann.sees(bob)).id
            return operations(harness, ann, track, theirs)[name]()

        async for struck in at_every_await(harness, prepare, cancel):
            assert struck.cancelled or struck.error is None, f"{name} {struck}: {struck.error!r}"
            assert ann.connection.state is ConnectionState.CONNECTED, f"{name} {struck}"
            await heard(harness, ann, bob)


@proves("C97")
async def test_a_cancelled_aclose_still_ends_the_connection(harness: Harness) -> None:
    room = await harness.room()
    bob = await harness.join(room, "bob")
    await visit(harness, bob)
    before = Snapshot.take()
    ann: list[Peer] = []

    async def prepare() -> Operation:
        ann.append(await harness.join(room, "ann"))
        await harness.eventually(lambda: "ann" in bob.connection.participants)
        return ann[-1].connection.aclose()

    async for struck in at_every_await(harness, prepare, cancel):
        assert struck.cancelled or struck.error is None, f"{struck}: {struck.error!r}"
        assert (await ann[-1].end()).state is ConnectionState.DISCONNECTED, str(struck)
        await bob.expect(ParticipantLeft, identity="ann", count=len(ann))
        await harness.left_nothing(before, f"an aclose {struck}")


@proves("C98")
async def test_closing_the_connection_ends_an_operation_at_every_await(harness: Harness) -> None:
    for name in OPERATIONS:
        peers: list[Peer] = []

        async def leave(peers: list[Peer] = peers) -> None:
            await peers[0].connection.aclose()

        closing = Closing(leave)

        async def prepare(name: str = name, peers: list[Peer] = peers) -> Operation:
            ann, bob, possible = await furnish(harness)
            peers[:] = [ann, bob]
            return possible.get(name, possible["statistics"])()

        async for struck in at_every_await(harness, prepare, closing):
            struck.ended_well()
            await closing.done(harness)
            for peer in peers:
                await harness.within(peer.connection.aclose())
            last = await peers[0].end()
            assert last.reason is DisconnectReason.CLIENT_LEFT, f"{name} {struck}: {last}"


@proves("C99")
async def test_closing_the_backend_ends_a_connect_at_every_await(harness: Harness) -> None:
    closing = Closing(harness.close_backend)

    async def prepare() -> Coroutine[Any, Any, MediaConnection]:
        room = await harness.room()
        return harness.backend.connect(await harness.ticket(room, "ann"))

    async for struck in at_every_await(harness, prepare, closing):
        struck.ended_well()
        await closing.done(harness)
        connection = struck.result
        if connection is not None:
            assert connection.state is ConnectionState.DISCONNECTED, str(struck)
            with refused(Closed):
                await harness.within(connection.publish(MICROPHONE))
        await harness.renew()


@proves("C100")
async def test_a_connection_may_be_closed_by_the_task_that_reads_its_events(harness: Harness) -> None:
    room = await harness.room()
    connection = await harness.connect(await harness.ticket(room, "ann"))
    told: list[MediaEvent] = []

    async def read_and_close() -> None:
        async for event in connection.events:
            told.append(event)
            await connection.aclose()

    reading = asyncio.ensure_future(read_and_close())
    await harness.join(room, "bob")
    await harness.within(reading)
    assert connection.state is ConnectionState.DISCONNECTED
    assert told[-1] == told[-1].__class__(ConnectionState.DISCONNECTED, DisconnectReason.CLIENT_LEFT)  # type: ignore[call-arg, arg-type]  # a StateChanged


@proves("C101")
async def test_a_publish_ends_when_the_participant_is_removed_or_all_is_closed(harness: Harness) -> None:
    rooms: list[str] = []
    endings: dict[str, Callable[[], Awaitable[None]]] = {
        "removal": lambda: harness.control.remove_participant(rooms[-1], "ann"),
        "room closing": lambda: harness.control.close_room(rooms[-1]),
        "backend closing": harness.close_backend,
    }
    for name, end in endings.items():
        peers: list[Peer] = []

        async def ending(end: Callable[[], Awaitable[None]] = end) -> None:
            await end()

        closing = Closing(ending)

        async def prepare(peers: list[Peer] = peers) -> Coroutine[Any, Any, LocalTrack]:
            room, ann, _ = await pair(harness)
            rooms.append(room)
            peers[:] = [ann]
            return ann.connection.publish(MICROPHONE)

        async for struck in at_every_await(harness, prepare, closing):
            struck.ended_well()
            await closing.done(harness)
            assert (await peers[0].end()).state is ConnectionState.DISCONNECTED, f"{name} {struck}"
            if struck.result is not None:
                with refused(Closed):
                    await harness.within(struck.result.write(HUM[0]))
            await harness.renew()
