"""What the backend tells the engine: M51 to M60."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...media.events import DisconnectReason, Notification, NotificationKind
from ...media.faults import Fault
from .harness import Harness
from .proof import proves

JOINED, LEFT = NotificationKind.PARTICIPANT_JOINED, NotificationKind.PARTICIPANT_LEFT


class Bulletin:
    """The notifications of one room, read in the background from the moment this is made."""

    def __init__(self, harness: Harness, room: str) -> None:
        self.received: list[Notification] = []
        self.arrivals: list[float] = []
        self.ended = False
        self._harness = harness
        self._room = room
        harness.background(self._read, harness.control.notifications())

    async def _read(self, stream: AsyncIterator[Notification]) -> None:
        async for notification in stream:
            if notification.room == self._room:
                self.received.append(notification)
                self.arrivals.append(self._harness.clock.monotonic())
        self.ended = True

    def of(self, kind: NotificationKind, identity: str | None = None) -> list[Notification]:
        return [one for one in self.received if one.kind is kind and identity in (None, one.identity)]

    async def expect(self, kind: NotificationKind, identity: str | None = None, *, count: int = 1) -> Notification:
        def enough() -> list[Notification]:
            found = self.of(kind, identity)
            return found if len(found) >= count else []

        return (await self._harness.eventually(enough, what=f"{count} notification(s) {kind} of {identity}"))[count - 1]


async def come_and_go(harness: Harness, room: str, identity: str) -> None:
    peer = await harness.join(room, identity)
    await harness.within(peer.connection.aclose())


@proves("M51")
async def test_what_participants_do_is_reported(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    ann = await harness.join(room, "ann")
    assert (await bulletin.expect(JOINED, "ann")).room == room
    track = await ann.publish()
    published = await bulletin.expect(NotificationKind.TRACK_PUBLISHED, "ann")
    assert published.track is not None
    assert (published.track.id, published.track.source) == (track.info.id, track.info.source)
    await harness.within(track.unpublish())
    unpublished = await bulletin.expect(NotificationKind.TRACK_UNPUBLISHED, "ann")
    assert unpublished.track is not None
    assert unpublished.track.id == track.info.id
    await harness.within(ann.connection.aclose())
    await bulletin.expect(LEFT, "ann")


@proves("M52")
async def test_closing_a_room_is_reported(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await harness.join(room, "ann")
    await bulletin.expect(JOINED, "ann")
    await harness.within(harness.control.close_room(room))
    await bulletin.expect(NotificationKind.ROOM_CLOSED)


@proves("M53")
async def test_a_notification_has_its_own_id_and_time(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    before = harness.clock.now()
    for identity in ("ann", "bob", "cid"):
        await come_and_go(harness, room, identity)
        await bulletin.expect(LEFT, identity)
    ids = [notification.id for notification in bulletin.received]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    for notification in bulletin.received:
        assert before - 5 <= notification.at <= harness.clock.now() + 5


@proves("M54")
async def test_every_listener_gets_every_notification_from_its_call_on(harness: Harness) -> None:
    room = await harness.room()
    first = Bulletin(harness, room)
    await come_and_go(harness, room, "ann")
    await first.expect(LEFT, "ann")
    # Called now and read later: what happens between belongs to it.
    late = harness.control.notifications()
    second = Bulletin(harness, room)
    await come_and_go(harness, room, "bob")
    await first.expect(LEFT, "bob")
    await second.expect(LEFT, "bob")
    assert not second.of(JOINED, "ann")
    first_of_late = await harness.within(next_of_room(late, room), what="what happened before it was read")
    assert (first_of_late.kind, first_of_late.identity) == (JOINED, "bob")


async def next_of_room(stream: AsyncIterator[Notification], room: str) -> Notification:
    async for notification in stream:
        if notification.room == room:
            return notification
    raise AssertionError("the notifications ended")


@proves("M55")
async def test_the_reason_of_a_leave_is_reported(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await harness.join(room, "ann")
    bob = await harness.join(room, "bob")
    await harness.within(harness.control.remove_participant(room, "ann"))
    assert (await bulletin.expect(LEFT, "ann")).reason is DisconnectReason.REMOVED
    await harness.within(bob.connection.aclose())
    assert (await bulletin.expect(LEFT, "bob")).reason is DisconnectReason.CLIENT_LEFT


async def inject(harness: Harness, fault: Fault, room: str, **parameters: float) -> None:
    await harness.within(harness.backend.inject(fault, room, None, **parameters))


@proves("M56")
async def test_lost_notifications_do_not_come(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await inject(harness, Fault.NOTIFICATIONS_LOST, room, times=1)
    ann = await harness.join(room, "ann")
    await harness.join(room, "bob")
    await bulletin.expect(JOINED, "bob")
    assert not bulletin.of(JOINED, "ann")
    await harness.within(ann.connection.aclose())
    await bulletin.expect(LEFT, "ann")


@proves("M57")
async def test_a_doubled_notification_has_the_same_id(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await inject(harness, Fault.NOTIFICATIONS_DOUBLED, room, times=1)
    await harness.join(room, "ann")
    again = await bulletin.expect(JOINED, "ann", count=2)
    assert again == bulletin.of(JOINED, "ann")[0]
    await harness.join(room, "bob")
    await bulletin.expect(JOINED, "bob")
    await harness.settle()
    assert len(bulletin.of(JOINED, "bob")) == 1
    assert len(bulletin.of(JOINED, "ann")) == 2


@proves("M58")
async def test_a_late_notification_has_the_time_of_what_happened(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    delay = 4 * harness.quiet
    await inject(harness, Fault.NOTIFICATIONS_DELAYED, room, times=1, seconds=delay)
    await harness.join(room, "ann")
    joined_at, began = harness.clock.now(), harness.clock.monotonic()
    await harness.settle()
    assert not bulletin.of(JOINED, "ann")
    late = await bulletin.expect(JOINED, "ann")
    assert bulletin.arrivals[0] - began >= delay * 0.8
    assert abs(late.at - joined_at) <= delay / 2


@proves("M59")
async def test_reversed_notifications_come_last_to_first(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await inject(harness, Fault.NOTIFICATIONS_REVERSED, room, times=2)
    ann = await harness.join(room, "ann")
    await harness.settle()
    assert not bulletin.received
    await harness.within(ann.connection.aclose())
    await bulletin.expect(JOINED, "ann")
    assert [notification.kind for notification in bulletin.received] == [LEFT, JOINED]
    await come_and_go(harness, room, "bob")
    await bulletin.expect(LEFT, "bob")
    assert [notification.kind for notification in bulletin.received[2:]] == [JOINED, LEFT]


@proves("M60")
async def test_notifications_end_with_the_backend(harness: Harness) -> None:
    room = await harness.room()
    bulletin = Bulletin(harness, room)
    await come_and_go(harness, room, "ann")
    await bulletin.expect(LEFT, "ann")
    await harness.within(harness.backend.aclose())
    await harness.eventually(lambda: bulletin.ended, what="the clean end of the notifications")
