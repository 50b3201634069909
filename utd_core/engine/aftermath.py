"""What follows from decisions that hold: media, subscriptions, timers; and bans, which reach into every room."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Forbidden
from ..model.bans import Ban, BanMade, BanScope, refusal
from ..model.call import CallAccepted, CallEnded, CallStarted, media_room
from ..model.commands import ParticipantBanned, PartyBanned
from ..model.event import Event
from ..model.grants import affected
from ..model.roles import Role
from ..model.room import ParticipantRemoved, RoleChanged, RoomCreated, RoomEnded
from .core import Core
from .deciding.aggregates import Aggregate, Batch
from .deciding.lines import Lines
from .deciding.pipeline import Pipeline
from .kinds import CALL, PROJECT, ROOM
from .media.attendance import Attendance
from .media.media_rooms import MediaRooms, owner_of
from .media.reconciler import Reconciler, is_over
from .media.recovery import Recovery
from .subscriptions import Subscriptions
from .timing.timers import Deadlines

_EVICTIONS = 4


class Aftermath:
    """The surroundings of the pipeline."""

    def __init__(
        self,
        core: Core,
        pipeline: Pipeline,
        lines: Lines,
        media_rooms: MediaRooms,
        reconciler: Reconciler,
        attendance: Attendance,
        recovery: Recovery,
        subscriptions: Subscriptions,
        deadlines: Deadlines,
    ) -> None:
        self._core = core
        self._pipeline = pipeline
        self._lines = lines
        self._media_rooms = media_rooms
        self._reconciler = reconciler
        self._attendance = attendance
        self._recovery = recovery
        self._subscriptions = subscriptions
        self._deadlines = deadlines
        self._evictions = core.upkeep("evictions", self._evict, _EVICTIONS)

    async def prepare(self, aggregate: Aggregate) -> None:
        """Have at hand what decisions on a loaded aggregate look at. Raises `StoreFailed`."""
        kind, state = aggregate.kind, aggregate.state
        if kind is CALL and state is None:
            await self._lines.fetch(aggregate.parties)
        if kind is PROJECT:
            self._core.bans = {} if state is None else dict(state.bans)
        if kind is PROJECT or state is None or is_over(state):
            return
        if kind is CALL:
            await self._lines.find(state.id, (state.caller, state.callee))
        await self._recovery.recover(media_room_of(aggregate), state)

    def committed(self, batches: Iterable[Batch]) -> None:
        """Everything that follows."""
        for batch in batches:
            aggregate = batch.aggregate
            if batch.events and (deadline := aggregate.kind.deadline(aggregate.state)) is not None:
                self._deadlines.expect(deadline)
            if aggregate.kind is PROJECT:
                self._core.bans = {} if aggregate.state is None else dict(aggregate.state.bans)
                for event, _ in batch.events:
                    if isinstance(event, BanMade) and event.ban.scope is BanScope.PROJECT:
                        self._evictions.ask(event.ban.identity)
            else:
                self._media(batch)

    def undone(self, batches: Iterable[Batch]) -> None:
        """Somebody may have seen, and acted on, what does not hold."""
        for batch in batches:
            if batch.aggregate.kind is not PROJECT:
                room = media_room_of(batch.aggregate)
                for event, _ in batch.events:
                    self._reconcile(room, event)

    def evict_banned(self) -> None:
        """Carry out bans whose engine ended before it could."""
        for identity in self._core.bans:
            self._evictions.ask(identity)

    def _media(self, batch: Batch) -> None:
        room = media_room_of(batch.aggregate)
        presence = self._core.presences.get(room, ())
        for left, media_identity, at_once in batch.left:
            if at_once:
                self._reconciler.touch(left, media_identity)
            else:
                self._reconciler.linger(left, media_identity)
        for event, _ in batch.events:
            if isinstance(event, RoomEnded | CallEnded):
                self._media_rooms.condemn(room)
            if isinstance(event, RoomEnded):
                self._subscriptions.end_room(room)
            if isinstance(event, CallAccepted):
                self._attendance.expect_parties(batch.aggregate.state)
            if isinstance(event, RoleChanged) and event.role.rank < Role.ADMIN.rank and event.identity not in presence:
                # A moderator follows a room from outside, as long as he is one.
                self._subscriptions.end(room, event.identity, Forbidden(f"you do not moderate room {room!r} any more"))
            if isinstance(event, BanMade) and event.ban.identity not in presence:
                self._subscriptions.end(room, event.ban.identity, refusal(event.ban))
            self._reconcile(room, event)
        for identity, removed in batch.gone:
            if identity not in presence:
                self._subscriptions.end(room, identity, self._dismissal(batch, identity) if removed else None)

    def _dismissal(self, batch: Batch, identity: str) -> Forbidden:
        """What somebody who was removed is told, and nobody else."""
        ban = self._project_ban(identity)
        if ban is not None:
            return refusal(ban)
        removals = (event for event, _ in batch.events if isinstance(event, ParticipantRemoved))
        removal = next(event for event in removals if event.identity == identity)
        return Forbidden(f"removed by {removal.by}: {removal.reason}")

    def _project_ban(self, identity: str) -> Ban | None:
        ban = self._core.bans.get(identity)
        return ban if ban is not None and ban.holds(self._core.clock.now()) else None

    def _reconcile(self, room: str, event: Event) -> None:
        # Nobody is in a room or a call that has just begun.
        if isinstance(event, RoomCreated | CallStarted):
            return
        identities = affected(event)
        if identities is None:
            self._reconciler.touch_room(room)
            return
        for identity in identities:
            self._reconciler.touch_identity(room, identity)

    async def _evict(self, identity: str) -> None:
        """Remove somebody who is banned from the project from every room and call."""
        ban = self._project_ban(identity)
        if ban is None:
            return
        for room, presence in list(self._core.presences.items()):
            kind, key = owner_of(room)
            if kind is ROOM and identity in presence:
                await self._pipeline.bring(ROOM, key, ParticipantBanned(identity))
        # A moderator may follow a room from outside.
        self._subscriptions.end_all(identity, refusal(ban))
        call = self._lines.engaged.get(identity)
        if call is not None:
            await self._pipeline.bring(CALL, call, PartyBanned(identity))


def media_room_of(aggregate: Aggregate) -> str:
    """The media room of a room or a call."""
    return media_room(aggregate.key) if aggregate.kind is CALL else aggregate.key
