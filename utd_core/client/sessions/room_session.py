"""What audio rooms and live streams share: a mirrored room, its people's roles, and requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypedDict

import anyio

from ...broker.base import Subscription
from ...errors import Banned, ErrorCode, NotFound, UTDStreamException
from ...model.bans import Ban
from ...model.channels import room_channel
from ...model.commands import (
    AcceptRequest,
    CancelRequest,
    CreateBan,
    DeleteBan,
    EndRoom,
    GetRoom,
    GoLive,
    JoinRoom,
    LeaveRoom,
    ListBans,
    MakeRequest,
    MuteParticipant,
    RejectRequest,
    RemoveParticipant,
    SetRole,
    StopLive,
    UpdateMetadata,
)
from ...model.event import Event
from ...model.grants import affected, grant_of, why_refused
from ...model.permission import Grant, TrackSource
from ...model.request import Request, RequestEnded, RequestKind, RequestMade
from ...model.results import Page, RoomSnapshot, UTDTokenResponse
from ...model.roles import Capability, Role
from ...model.room import DuplicateIdentity, MetadataChanged, ParticipantRemoved, Phase, Room, RoomEnded, apply
from ...model.seats import SeatMode
from ...model.stream_type import UTDStreamType
from ...store.base import Envelope
from ..context import ClientContext
from ..media.devices import Opening
from ..media.room_state import NO_GRANT
from ..models import EndReason, SessionEnd, SyncState
from ..state.mirror import Following, Mirror, Snapshot
from ..state.observable import Observable, Variable
from .awaited import AwaitedAnswers
from .session import UTDSession
from .visit import Visit


class RoomOptions(TypedDict, total=False):
    """How a room is that a host creates by joining; see `RoomSettings` for each. Times in seconds."""

    seat_count: int | None
    seat_mode: SeatMode | Literal["free", "request"] | None
    mode_id: str | None
    seat_video: bool | None
    backstage: bool | None
    duplicate_identity: DuplicateIdentity | Literal["replace", "reject", "many"] | None
    max_participants: int | None
    max_duration: float | None
    empty_timeout: float | None
    host_left_grace: float | None
    request_timeout: float | None
    metadata: dict[str, Any] | None


_NOT_THERE = (ErrorCode.ROOM_NOT_FOUND, ErrorCode.ROOM_ENDED)
_STAYED = (EndReason.REMOVED, EndReason.BANNED, EndReason.REPLACED, EndReason.ROOM_ENDED)
"""Ends after which there is no place to leave: it is gone, or somebody else's."""


class UTDRoomSession(UTDSession):
    """A session in a room."""

    def __init__(
        self,
        context: ClientContext,
        type: UTDStreamType,
        room_name: str,
        *,
        as_host: bool,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(context, type)
        self.room_name = room_name
        self._as_host = as_host
        self._options = {name: value for name, value in (options or {}).items() if value is not None}
        self._mirror: Mirror[Room] | None = None
        self._awaited = AwaitedAnswers(self._scope, self._open_devices)
        self._was_in = False
        self._role: Variable[Role] = self._variable(Role.AUDIENCE)
        self._phase: Variable[Phase] = self._variable(Phase.LIVE)
        self._requests: Variable[tuple[Request, ...]] = self._variable(())
        self._metadata: Variable[Mapping[str, Any]] = self._variable({})

    @property
    def is_host(self) -> bool:
        """Whether this participant is the owner or a host of the room."""
        return self._role.value.is_host

    @property
    def role(self) -> Observable[Role]:
        """This participant's role."""
        return self._role

    @property
    def phase(self) -> Observable[Phase]:
        """Backstage, live, ended."""
        return self._phase

    @property
    def requests(self) -> Observable[tuple[Request, ...]]:
        """What is asked and not answered yet, by anybody, oldest first."""
        return self._requests

    @property
    def metadata(self) -> Observable[Mapping[str, Any]]:
        """The room's own data, as the application gave it."""
        return self._metadata

    def may(self, capability: Capability) -> bool:
        """Whether this participant's role has a capability in this room now."""
        state = self._mirrored
        return state is not None and state.may(state.role(self.identity), capability)

    async def join(self) -> None:
        """Join; what `client.join_...` does. Raises what the engine refuses it with, and `Superseded`."""
        await self._begin(self._stay_in_room)

    async def rejoin(self) -> None:
        """Join again after `leave()`, or after the session was lost. A host whose room is gone creates it anew.

        Raises as the first join, and `Conflict` (already_joined) unless the session is disconnected.
        """
        await self.join()

    async def end_room(self, reason: str = "ended") -> None:
        """End the room for everybody. Needs `end_room`."""
        await self._execute(EndRoom(room=self.room_name, reason=reason))

    async def stop_live(self) -> None:
        """Back to backstage: the audience neither hears nor sees any more. Needs `go_live`."""
        await self._execute(StopLive(room=self.room_name))

    async def update_metadata(self, metadata: dict[str, Any], *, revision: int | None = None) -> int:
        """Replace the room's metadata; the new revision. `revision`: the one it was read at, another is a conflict."""
        number: int = await self._execute(UpdateMetadata(room=self.room_name, metadata=metadata, revision=revision))
        return number

    async def kick(
        self, identity: str, *, block: bool = False, duration: float | None = None, reason: str = "removed"
    ) -> None:
        """Remove somebody from the room; with `block` it cannot come back, for `duration` seconds or for good."""
        await self._execute(
            RemoveParticipant(room=self.room_name, identity=identity, reason=reason, block=block, duration=duration)
        )

    async def ban(self, identity: str, *, duration: float | None = None, reason: str = "") -> Ban:
        """Keep somebody out of the room, for `duration` seconds or for good, also one who is not in it now; whoever is
        is removed. A second ban replaces the first. Needs `ban`."""
        ban: Ban = await self._execute(
            CreateBan(room=self.room_name, identity=identity, reason=reason, duration=duration)
        )
        return ban

    async def unban(self, identity: str, *, reason: str = "") -> None:
        """Lift somebody's ban before its time. Needs `ban`. Raises `NotFound` (ban_not_found)."""
        found: Page[Ban] = await self._execute(ListBans(room=self.room_name, identity=identity))
        if not found.data:
            raise NotFound(f"{identity!r} is not banned from {self.room_name!r}", code=ErrorCode.BAN_NOT_FOUND)
        await self._execute(DeleteBan(room=self.room_name, id=found.data[0].id, reason=reason))

    async def bans(self) -> tuple[Ban, ...]:
        """The room's bans that hold now, by identity; a `BansChanged` in `events` says that there are others. Needs
        `ban`."""
        found: list[Ban] = []
        cursor: str | None = None
        while True:
            page: Page[Ban] = await self._execute(ListBans(room=self.room_name, cursor=cursor, limit=100))
            found += page.data
            if (cursor := page.next) is None:
                return tuple(found)

    async def mute(self, identity: str, *, audio: bool | None = True, video: bool | None = None) -> None:
        """Take (True) or give back (False) somebody's microphone or camera; None leaves it as it is. Needs `mute`."""
        await self._execute(MuteParticipant(room=self.room_name, identity=identity, audio=audio, video=video))

    async def set_role(self, identity: str, role: Role) -> None:
        """Give a role below the own one. Needs `manage_roles`."""
        await self._execute(SetRole(room=self.room_name, identity=identity, role=role))

    async def cancel_request(self, request_id: int) -> Request:
        """Take back what was asked. An approval that comes at the same moment opens no device any more."""
        await self._awaited.forget(request_id)
        return await self._request(CancelRequest(room=self.room_name, id=request_id))

    @abstractmethod
    def _refresh(self, room: Room, event: Event | None) -> None:
        """Show what an event has changed, or everything (None)."""

    async def _execute(self, command: Any) -> Any:
        self._check_joined()
        return await self._link.execute(command)

    async def _request(self, command: Any) -> Request:
        request: Request = await self._execute(command)
        return request

    async def _go_live(self) -> None:
        await self._execute(GoLive(room=self.room_name))

    async def _ask(
        self,
        kind: RequestKind,
        *,
        to: str | None = None,
        seat_index: int | None = None,
        opening: Opening | None = None,
    ) -> Request:
        """Ask the room or somebody. `opening`: what is opened when it is accepted, unless something came between."""
        epoch = self._operations.begin()
        request = await self._request(MakeRequest(room=self.room_name, kind=kind, to=to, seat_index=seat_index))
        if opening is not None and opening.sources:
            self._awaited.add(request.id, epoch, opening)
            self._look_at_answers()
        return request

    async def _approve(self, request_id: int, seat_index: int | None = None) -> Request:
        return await self._request(AcceptRequest(room=self.room_name, id=request_id, seat_index=seat_index))

    async def _reject(self, request_id: int, reason: str) -> Request:
        return await self._request(RejectRequest(room=self.room_name, id=request_id, reason=reason))

    async def _stay_in_room(self, visit: Visit) -> None:
        ticket = await self._enter()
        try:
            await self._open_mirror()
            await self._stay_connected(visit, ticket)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    self.room.hush()
                    self._close_mirror()
                    if visit.end is None or visit.end.reason not in _STAYED:
                        await self._say_goodbye(LeaveRoom(room=self.room_name))
                finally:
                    try:
                        await self.room.disconnect()
                    finally:
                        await self._awaited.forget_all()

    async def _enter(self) -> UTDTokenResponse:
        """Join; a host who comes again finds the room as it is now, and creates it only when it is gone."""
        if self._was_in:
            try:
                return await self._join_command(as_host=False)
            except UTDStreamException as error:
                if not self._as_host or error.code not in _NOT_THERE:
                    raise
        ticket = await self._join_command(as_host=self._as_host, **self._options)
        self._was_in = True
        return ticket

    async def _join_command(self, *, as_host: bool, **options: Any) -> UTDTokenResponse:
        context = self._context
        ticket: UTDTokenResponse = await self._decided(
            JoinRoom(
                room=self.room_name,
                type=self.type,
                as_host=as_host,
                name=context.name,
                device_id=context.device_id,
                **options,
            )
        )
        return ticket

    async def _renew(self) -> UTDTokenResponse:
        # Whoever comes back never brings a room back to life: without as_host a room that ended meanwhile is refused.
        ticket = await self._join_command(as_host=False)
        if self._mirror is None:
            # The engine had given the place up; the state has gone on without us.
            await self._open_mirror()
            self._on_resynced(recovered=False)
        return ticket

    @property
    def _mirrored(self) -> Room | None:
        mirror = self._mirror
        return mirror.state if mirror is not None and mirror.is_open else None

    async def _open_mirror(self) -> None:
        self._mirror = mirror = Mirror(
            self._link,
            room_channel(self.room_name),
            read=self._read_room,
            apply=_apply,
            follower=Following(self._on_changed, self._on_recovering, self._on_resynced, self._on_lost),
            retry=self._context.retry,
            identity=self.identity,
        )
        try:
            await mirror.open()
        except BaseException:
            self._close_mirror()
            raise
        self._sync.set(SyncState.LIVE)
        self._scope.start(mirror.run, name="mirror")

    def _close_mirror(self) -> None:
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            mirror.stop()

    async def _read_room(self, subscription: Subscription) -> Snapshot[Room]:
        snapshot: RoomSnapshot = await self._link.execute(GetRoom(room=self.room_name))
        return Snapshot(snapshot.room, snapshot.epoch, snapshot.offset)

    def _catch_up(self) -> None:
        if self._mirror is not None:
            self._mirror.catch_up()

    def _on_changed(self, envelope: Envelope | None) -> None:
        """The mirrored room has changed."""
        room = self._mirrored
        assert room is not None
        event = None if envelope is None else envelope.event
        self._role.set(room.role(self.identity))
        self._phase.set(room.phase)
        if event is None or isinstance(event, MetadataChanged):
            # The mirror's own mapping, which nobody else may change.
            self._metadata.set(MappingProxyType(room.metadata))
        if event is None or isinstance(event, RequestMade | RequestEnded):
            self._requests.set(tuple(room.requests.values()))
        self._refresh(room, event)
        if event is None or self._concerns_grant(event):
            self.room.check_entitlement()
        self._look_at_answers()
        self._changed.notify()
        if event is not None:
            self._events.publish(event)
        self._look_for_the_end(room, event)

    def _on_resynced(self, recovered: bool) -> None:
        """The mirrored room is live again."""
        self._announce_resynced(room_channel(self.room_name), recovered)

    def _on_lost(self, error: UTDStreamException | None) -> None:
        """The mirrored room is lost."""
        self._mirror = None
        if error is None and self.connected.value is False:
            # Away for so long that the engine gave the place up: coming back opens the mirror again, or fails.
            self._on_recovering()
            return
        self._lost_mirror(error)

    def _entitlement(self) -> Grant:
        room = self._mirrored
        return NO_GRANT if room is None else grant_of(room, self.identity)

    def _why_refused(self, source: TrackSource) -> str:
        room = self._mirrored
        return "the room's state is not known now" if room is None else why_refused(room, self.identity, source)

    def _concerns_grant(self, event: Event) -> bool:
        people = affected(event)
        return people is None or self.identity in people

    def _look_for_the_end(self, room: Room, event: Event | None) -> None:
        if room.phase is Phase.ENDED:
            by = event.by if isinstance(event, RoomEnded) else room.ended_by
            self._end_visit(SessionEnd(EndReason.ROOM_ENDED, f"the room has ended: {room.end_reason} (by {by})"))
        elif isinstance(event, ParticipantRemoved) and event.identity == self.identity:
            self._end_visit(self._end_by(event))

    def _end_by(self, removal: ParticipantRemoved) -> SessionEnd:
        """The event is for everybody; why somebody is banned is said to that one alone, with the channel's end."""
        words = f"removed by {removal.by}: {removal.reason}"
        if not removal.blocked:
            return SessionEnd(EndReason.REMOVED, words)
        said = None if self._mirror is None else self._mirror.parting
        if not isinstance(said, Banned):
            return SessionEnd(EndReason.BANNED, words)
        return SessionEnd(EndReason.BANNED, said.message, said)

    def _look_at_answers(self) -> None:
        room = self._mirrored
        if room is not None and self._awaited:
            self._awaited.look(room)


def _apply(room: Room, envelope: Envelope) -> Room:
    return apply(room, envelope.event)
