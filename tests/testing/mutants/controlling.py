"""Control halves that are wrong in one place each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from utd_core.errors import Closed, ConnectFailed, InvalidInput, MediaError, NotFound, TooLarge
from utd_core.media.events import NotificationKind, ParticipantInfo
from utd_core.media.faults import Fault
from utd_core.model.permission import Grant

from .covers import BackendCover, ControlCover, NoticesCover, QuietAboutGrants, caught_by


@caught_by("M1")
class HidesRooms(ControlCover):
    async def list_rooms(self) -> Any:
        return (await self.inner.list_rooms())[1:]


@caught_by("M2")
class MakesRoomsOnlyOnce(ControlCover):
    async def create_room(self, room: str, **options: Any) -> None:
        if room in await self.inner.list_rooms():
            raise InvalidInput("it exists")
        await self.inner.create_room(room, **options)


@caught_by("M2", "M12")
class ListsARoomForEachCreator(ControlCover):
    def begin(self) -> None:
        self.created: list[str] = []

    async def create_room(self, room: str, **options: Any) -> None:
        await self.inner.create_room(room, **options)
        self.created.append(room)

    async def list_rooms(self) -> Any:
        return self.created


@caught_by("M3", "M4", "M18", "S19", "S38")
class EmptiesRoomsInsteadOfClosing(ControlCover):
    async def close_room(self, room: str) -> None:
        for who in await self.inner.list_participants(room):
            await self.inner.remove_participant(room, who.identity)


@caught_by("M5")
class ClosesOnlyWhatItKnows(ControlCover):
    async def close_room(self, room: str) -> None:
        if room not in await self.inner.list_rooms():
            raise NotFound("no such room")
        await self.inner.close_room(room)


@caught_by("M6")
class HasOneRoomForAll(ControlCover):
    async def issue_join(self, room: str, *args: Any, **more: Any) -> Any:
        return await self.inner.issue_join((await self.inner.list_rooms())[0], *args, **more)


@caught_by("M7")
class RemembersFormerLimits(ControlCover):
    def begin(self) -> None:
        self.limits: dict[str, int] = {}

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        if max_participants is not None:
            self.limits[room] = max_participants
        await self.inner.create_room(room, max_participants=self.limits.get(room))


@caught_by("M8", "S30")
class ForgetsLimits(ControlCover):
    async def create_room(self, room: str, **_: Any) -> None:
        await self.inner.create_room(room)


@caught_by("M9")
class NeverFreesPlaces(ControlCover):
    def begin(self) -> None:
        self.issued: set[tuple[str, str]] = set()
        self.limits: dict[str, int] = {}

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        if max_participants is not None:
            self.limits[room] = max_participants
        await self.inner.create_room(room, max_participants=max_participants)

    async def issue_join(self, room: str, identity: str, **more: Any) -> Any:
        self.issued.add((room, identity))
        ticket = await self.inner.issue_join(room, identity, **more)
        return replace(ticket, token="") if len(self.issued) > self.limits.get(room, 100) else ticket


@caught_by("M10", "M11")
class TidiesNames(ControlCover):
    async def create_room(self, room: str, **options: Any) -> None:
        await self.inner.create_room("".join(filter(str.isalnum, str(room))) or "room", **options)


@caught_by("M13")
class TellsNoEndOfTickets(ControlCover):
    async def issue_join(self, *args: Any, **more: Any) -> Any:
        return replace(await self.inner.issue_join(*args, **more), expires_at=0.0)


@caught_by("M14", "C1", "S20", "S21", "S27", "S31", "S32", "S33", "S34")
class ForgetsTheGrantOfATicket(QuietAboutGrants):
    async def issue_join(self, *args: Any, grant: Grant, **more: Any) -> Any:
        return await self.inner.issue_join(*args, grant=replace(grant, publish=frozenset()), **more)


@caught_by("M15")
class ForgetsExpiry(ControlCover):
    async def issue_join(self, *args: Any, ttl: float = 600.0, **more: Any) -> Any:
        ticket = await self.inner.issue_join(*args, ttl=ttl * 1_000, **more)
        return replace(ticket, expires_at=self.clock.now() + ttl)


@caught_by("M16")
class LetsTicketsRunOutEarly(ControlCover):
    async def issue_join(self, *args: Any, ttl: float = 600.0, **more: Any) -> Any:
        return await self.inner.issue_join(*args, ttl=min(ttl, 0.5), **more)


@caught_by("M17")
class LetsForgersIn(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        try:
            return await super().connect(ticket, options)
        except ConnectFailed:
            (room,) = await self.inner.control.list_rooms()
            return await super().connect(await self.inner.control.issue_join(room, "forger", grant=Grant()), options)


@caught_by("M19")
class MakesRoomsOnDemand(ControlCover):
    async def issue_join(self, room: str, *args: Any, **more: Any) -> Any:
        await self.inner.create_room(room)
        return await self.inner.issue_join(room, *args, **more)


@caught_by("M20", "M22", "S2", "S7", "S8", "S24")
class OnlyAddsToGrants(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        for who in await self.inner.list_participants(room):
            if who.identity == identity:
                grant = replace(grant, publish=grant.publish | who.grant.publish)
        await self.inner.apply_grant(room, identity, grant)


@caught_by("M21", "M29", "M31", "S1", "S2", "S5", "S23", "S25")
class ForgetsGrants(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        del room, identity, grant


@caught_by("M23", "M24", "M22")
class TakesEverythingAwayFirst(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self.clock.sleep(3.0)
        await self.inner.apply_grant(room, identity, Grant(publish=frozenset()))
        await self.inner.apply_grant(room, identity, grant)


@caught_by("M25", "M38", "M41")
class LetsForeignErrorsOut(ControlCover):
    async def apply_grant(self, *args: Any) -> None:
        await self.translate(self.inner.apply_grant(*args))

    async def mute_track(self, *args: Any) -> None:
        await self.translate(self.inner.mute_track(*args))

    async def remove_participant(self, *args: Any) -> None:
        await self.translate(self.inner.remove_participant(*args))

    async def translate(self, operation: Any) -> None:
        try:
            await operation
        except NotFound as error:
            raise KeyError(error.message) from error


@caught_by("M26", "M27", "S15")
class KeepsSubscriptions(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self.inner.apply_grant(room, identity, replace(grant, subscribe=True))


@caught_by("M28")
class KeepsDataAllowed(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self.inner.apply_grant(room, identity, replace(grant, publish_data=True))


@caught_by("M30")
class RemembersGrants(ControlCover):
    def begin(self) -> None:
        self.applied: dict[str, Grant] = {}

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        await self.inner.apply_grant(room, identity, grant)
        self.applied[identity] = grant

    async def issue_join(self, room: str, identity: str, *, grant: Grant, **more: Any) -> Any:
        return await self.inner.issue_join(room, identity, grant=self.applied.get(identity, grant), **more)


@caught_by("M33")
class RetriesFailedGrants(ControlCover):
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        for _ in range(2):
            try:
                await self.inner.apply_grant(room, identity, grant)
            except MediaError:
                continue
            return


@caught_by("M34", "M56", "M57", "M58", "M59", "C82", "S9", "S10")
class InjectsNothing(BackendCover):
    async def inject(self, *args: Any, **parameters: float) -> None:
        del args, parameters


@caught_by("M35", "M37")
class MutesForAMoment(ControlCover):
    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        await self.inner.mute_track(room, identity, track_id, muted)
        await self.inner.mute_track(room, identity, track_id, muted=False)


@caught_by("M36")
class NeverLiftsAMute(ControlCover):
    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        if muted:
            await self.inner.mute_track(room, identity, track_id, muted)


@caught_by("M39", "M55")
class RemovesWithoutSayingSo(ControlCover):
    async def remove_participant(self, room: str, identity: str) -> None:
        await self.backend.inner.inject(Fault.SERVER_LEAVE, room, identity)


@caught_by("M39", "M40", "S13")
class RemovesNobody(ControlCover):
    async def remove_participant(self, room: str, identity: str) -> None:
        del room, identity


@caught_by("M42")
class BansTheRemoved(ControlCover):
    def begin(self) -> None:
        self.banned: set[str] = set()

    async def remove_participant(self, room: str, identity: str) -> None:
        await self.inner.remove_participant(room, identity)
        self.banned.add(identity)

    async def issue_join(self, room: str, identity: str, **more: Any) -> Any:
        ticket = await self.inner.issue_join(room, identity, **more)
        return replace(ticket, token="banned") if identity in self.banned else ticket


@caught_by("M39", "M44", "M46")
class ListsEverybodyItEverInvited(ControlCover):
    def begin(self) -> None:
        self.invited = {"the first": ParticipantInfo("the first")}

    async def issue_join(self, room: str, identity: str, **more: Any) -> Any:
        self.invited[identity] = ParticipantInfo(identity)
        return await self.inner.issue_join(room, identity, **more)

    async def list_participants(self, room: str) -> Any:
        present = {who.identity: who for who in await self.inner.list_participants(room)}
        return list({**self.invited, **present}.values())


@caught_by("M43", "M2")
class ListsEverybodyTwice(ControlCover):
    async def list_participants(self, room: str) -> Any:
        return 2 * await self.inner.list_participants(room)


@caught_by("M45")
class ListsNoTracks(ControlCover):
    async def list_participants(self, room: str) -> Any:
        return [replace(who, tracks=()) for who in await self.inner.list_participants(room)]


@caught_by("M47", "M49")
class SpeaksAsSomebodyElse(ControlCover):
    async def send_data(self, room: str, payload: bytes, **options: Any) -> None:
        await self.inner.send_data(room, payload + b"!", **{**options, "topic": ""})


@caught_by("M48")
class TellsEverybody(ControlCover):
    async def send_data(self, room: str, payload: bytes, **options: Any) -> None:
        await self.inner.send_data(room, payload, **{**options, "to": None})


@caught_by("M50")
class CutsDataOfTheServerShort(ControlCover):
    async def send_data(self, room: str, payload: bytes, **options: Any) -> None:
        try:
            await self.inner.send_data(room, payload, **options)
        except TooLarge:
            await self.inner.send_data(room, payload[:100], **options)


@caught_by("M51", "M52")
class SwallowsNotifications(NoticesCover):
    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for notification in stream:
            if notification.kind not in (NotificationKind.TRACK_PUBLISHED, NotificationKind.ROOM_CLOSED):
                yield notification


@caught_by("M53", "M58")
class NumbersNotificationsBadly(NoticesCover):
    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for notification in stream:
            yield replace(notification, id="1", at=self.clock.now() + 60)


@caught_by("M54")
class ListensOnlyWhenRead(NoticesCover):
    def notifications(self) -> AsyncIterator[Any]:
        return self.late()

    async def late(self) -> AsyncIterator[Any]:
        async for notification in self.inner.notifications():
            yield notification


@caught_by("M54")
class SharesNotifications(NoticesCover):
    def begin(self) -> None:
        self.shared: Any = None

    def notifications(self) -> AsyncIterator[Any]:
        if self.shared is None:
            self.shared = self.inner.notifications()
        return self.told(self.shared)


@caught_by("M57")
class FiltersDoubledNotifications(NoticesCover):
    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        seen: set[str] = set()
        async for notification in stream:
            if notification.id not in seen:
                seen.add(notification.id)
                yield notification


@caught_by("M60")
class NeverEndsNotifications(NoticesCover):
    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for notification in stream:
            yield notification
        while True:
            await self.clock.sleep(1.0)


@caught_by("M61")
class WorksWhenClosed(ControlCover):
    async def list_rooms(self) -> Any:
        try:
            return await self.inner.list_rooms()
        except Closed:
            return []
