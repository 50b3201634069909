"""The one stream of events: C75 to C79, and C120."""

from __future__ import annotations

from typing import Any

from ...errors import Closed
from ...media.backend import ConnectOptions, MediaConnection
from ...media.events import (
    ConnectionState,
    GrantChanged,
    MediaEvent,
    ParticipantJoined,
    ParticipantLeft,
    StateChanged,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
    TrackUnsubscribed,
)
from ...model.permission import TrackSource
from .harness import SPEAKER, Harness
from .proof import proves
from .test_connection_lifecycle import gone

CAPACITY = 10


def about(event: MediaEvent, identity: str) -> bool:
    """The event is about this participant."""
    if isinstance(event, ParticipantJoined):
        return event.participant.identity == identity
    return getattr(event, "identity", None) == identity


@proves("C75")
async def test_the_life_of_a_track_is_told_in_order(harness: Harness) -> None:
    room = await harness.room()
    bob = await harness.join(room, "bob")
    ann = await harness.join(room, "ann")
    track = await ann.publish()
    await bob.expect(TrackSubscribed)
    await harness.within(track.set_muted(True))
    await harness.within(track.set_muted(False))
    await bob.expect(TrackUnmuted)
    await harness.within(track.unpublish())
    await bob.expect(TrackUnpublished)
    await harness.within(ann.connection.aclose())
    await gone(bob, "ann")
    told = [type(event) for event in bob.log if about(event, "ann")]
    # Whether a track's end is told as unsubscribed too, and before or after unpublished, is the backend's choice.
    assert [kind for kind in told if kind is not TrackUnsubscribed] == [
        ParticipantJoined,
        TrackPublished,
        TrackSubscribed,
        TrackMuted,
        TrackUnmuted,
        TrackUnpublished,
        ParticipantLeft,
    ]
    if TrackUnsubscribed in told:
        assert told.index(TrackUnmuted) < told.index(TrackUnsubscribed) < told.index(ParticipantLeft)


class Mirror:
    """Compares what a connection says with each event at the moment it is handed out."""

    def __init__(self) -> None:
        self.behind: list[str] = []
        self.seen: set[type] = set()

    def __call__(self, connection: MediaConnection, event: Any) -> None:
        self.seen.add(type(event))
        if not self._shows(connection, event):
            self.behind.append(f"{event!r}, when participants were {dict(connection.participants)!r}")

    def _shows(self, connection: MediaConnection, event: Any) -> bool:
        others = connection.participants
        # The test does one thing at a time, so nothing later can have undone what an event says.
        match event:
            case ParticipantJoined(participant):
                return participant.identity in others
            case ParticipantLeft(identity):
                return identity not in others
            case TrackPublished(identity, track) | TrackSubscribed(identity, track):
                return any(info.id == track.id for info in others[identity].tracks)
            case TrackMuted(identity, track) | TrackUnmuted(identity, track):
                return any((info.id, info.muted) == (track.id, track.muted) for info in others[identity].tracks)
            case TrackUnpublished(identity, track):
                return identity not in others or all(info.id != track.id for info in others[identity].tracks)
            case GrantChanged(grant):
                return connection.grant == grant
            case StateChanged(state):
                return connection.state is state
        return True


@proves("C76")
async def test_what_a_connection_says_is_never_behind_its_events(harness: Harness) -> None:
    room = await harness.room()
    mirror = Mirror()
    bob = await harness.join(room, "bob", observe=mirror)
    ann = await harness.join(room, "ann")
    await bob.expect(ParticipantJoined)
    track = await ann.publish()
    await bob.expect(TrackSubscribed)
    for muted, kind in ((True, TrackMuted), (False, TrackUnmuted)):
        await harness.within(track.set_muted(muted))
        await bob.expect(kind)
    await harness.within(track.unpublish())
    await bob.expect(TrackUnpublished)
    await harness.within(ann.connection.aclose())
    await gone(bob, "ann")
    expected = {ParticipantJoined, TrackPublished, TrackSubscribed, TrackMuted, TrackUnmuted, TrackUnpublished}
    if harness.capabilities.control and harness.capabilities.grants_live:
        await harness.within(harness.control.apply_grant(room, "bob", SPEAKER))
        await bob.expect(GrantChanged)
        expected |= {GrantChanged}
    await harness.within(bob.connection.aclose())
    await bob.end()
    assert mirror.seen >= expected | {ParticipantLeft, StateChanged}
    assert not mirror.behind, "\n".join(mirror.behind)


@proves("C77")
async def test_an_event_reader_that_is_too_slow_ends_with_closed(harness: Harness) -> None:
    room = await harness.room()
    options = ConnectOptions(event_capacity=CAPACITY)
    connection = await harness.connect(await harness.ticket(room, "slow"), options)
    limit = harness.capabilities.max_participants
    may_stay = limit is None or limit > CAPACITY + 1
    for number in range(CAPACITY + 1):
        visitor = await harness.join(room, f"visitor-{number}")
        # Who has gone again before it was told need not be told at all.
        if not may_stay:
            await harness.within(visitor.connection.aclose())
    await harness.eventually(lambda: connection.events.closed)
    slow = harness.watch(connection)
    await harness.eventually(lambda: slow.ended)
    assert isinstance(slow.error, Closed), f"the events ended with {slow.error!r}, not with Closed"
    assert len(slow.log) == CAPACITY
    assert isinstance(slow.log[0], ParticipantJoined)


@proves("C78")
async def test_after_disconnected_no_event_follows(harness: Harness) -> None:
    room = await harness.room()
    ann, bob = await harness.join(room, "ann"), await harness.join(room, "bob")
    if harness.capabilities.audio:
        await bob.publish(TrackSource.MICROPHONE)
        await ann.sees(bob)
    await harness.within(ann.connection.aclose())
    await harness.within(bob.connection.aclose())
    await harness.join(room, "cid")
    await harness.settle()
    for peer in (ann, bob):
        last = await peer.end()
        assert last.state is ConnectionState.DISCONNECTED
        assert last.reason is not None
        assert len(peer.told(StateChanged, state=ConnectionState.DISCONNECTED)) == 1
        assert peer.connection.events.closed


@proves("C79")
async def test_a_slow_event_reader_holds_nobody_up(harness: Harness) -> None:
    room = await harness.room()
    await harness.connect(await harness.ticket(room, "slow"), ConnectOptions(event_capacity=1))
    bob = await harness.join(room, "bob")
    for number in range(3):
        began = harness.clock.monotonic()
        visitor = await harness.join(room, f"visitor-{number}")
        await bob.expect(ParticipantJoined, count=number + 1)
        assert harness.clock.monotonic() - began <= harness.prompt + harness.news_delay
        await harness.within(visitor.connection.aclose())
        await gone(bob, visitor.identity)


@proves("C120")
async def test_a_first_connect_is_no_news(harness: Harness) -> None:
    room = await harness.room()
    ann, bob = await harness.join(room, "ann"), await harness.join(room, "bob")
    await ann.expect(ParticipantJoined)
    await harness.settle()
    for peer in (ann, bob):
        assert peer.connection.state is ConnectionState.CONNECTED
        assert peer.told(StateChanged) == []
