"""A live stream: those on stage publish, everybody watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...media.events import ParticipantJoined
from ...media.sources.base import AudioSource, VideoSource
from ...model.commands import DemoteFromStage, GetStage, LeaveStage, PromoteToStage
from ...model.event import Event
from ...model.permission import TrackSource
from ...model.request import Request, RequestKind
from ...model.results import Page, UTDTokenResponse
from ...model.room import Phase, RoleChanged, Room
from ...model.stage import StageJoined, StageLeft, StageMember, StageMuteChanged
from ...model.stream_type import UTDStreamType
from ..context import ClientContext
from ..media.devices import Opening
from ..models import RoomEvent, UTDStageMember
from ..state.observable import Observable, Variable
from .room_session import UTDRoomSession

_DEVICES = (TrackSource.MICROPHONE, TrackSource.CAMERA)
_MOST_AT_ONCE = 100
"""Members in one page of the stage."""
_STAGE_EVENTS = (StageJoined, StageLeft, StageMuteChanged, RoleChanged)


class UTDLiveStreamSession(UTDRoomSession):
    """One host and any number of viewers, whom the host brings on stage without limit; only the engine does that.

    Hosts are on stage by joining. What the rules refuse is raised as `Conflict` or `Forbidden` with a code that names
    it.
    """

    def __init__(
        self, context: ClientContext, room_name: str, *, as_host: bool, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(context, UTDStreamType.LIVE_STREAM, room_name, as_host=as_host, options=options)
        self._members: dict[str, StageMember] = {}
        self._stage: Variable[tuple[UTDStageMember, ...]] = self._variable(())

    @property
    def stage(self) -> Observable[tuple[UTDStageMember, ...]]:
        """Who is on stage, in the order of coming."""
        return self._stage

    @property
    def is_on_stage(self) -> bool:
        """Whether this participant is on stage."""
        return self.identity in self._members

    async def go_live(
        self,
        with_video: bool = True,
        *,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
        grant_timeout: float | None = None,
    ) -> None:
        """Host: open the room to the audience if it is backstage, and publish microphone and camera.

        What is not given is the client's; what is given is taken over as by `UTDAudioRoomSession.take_seat`.
        Raises `InvalidInput` before anything else when `with_video` is asked for and there is no camera; `Superseded`
        and `DeadlineExceeded` (grant_timeout) as `take_seat`.
        """
        self._check_joined()
        opening = Opening(_DEVICES if with_video else (TrackSource.MICROPHONE,), microphone, camera)
        opening.check(self._context.devices)
        epoch = self._operations.begin()
        self._catch_up()
        if self._phase.value is Phase.BACKSTAGE:
            await self._go_live()
        await self._open_devices(epoch, opening, grant_timeout)

    async def refresh_stage(self) -> tuple[UTDStageMember, ...]:
        """The stage as the engine has it now. `stage` follows it without asking."""
        members: list[StageMember] = []
        page: Page[StageMember] | None = None
        while page is None or page.next is not None:
            cursor = None if page is None else page.next
            page = await self._execute(GetStage(room=self.room_name, cursor=cursor, limit=_MOST_AT_ONCE))
            members += page.data
        self._catch_up()
        return tuple(map(self._named, members))

    async def invite_to_stage(self, identity: str) -> UTDStageMember:
        """Bring a viewer on stage at once; `ask_to_stage` lets the viewer decide. Needs `manage_stage`."""
        member: StageMember = await self._execute(PromoteToStage(room=self.room_name, identity=identity))
        return self._named(member)

    async def ask_to_stage(self, identity: str) -> Request:
        """Invite a viewer on stage, who answers. Needs `manage_requests`."""
        return await self._ask(RequestKind.STAGE_INVITE, to=identity)

    async def remove_from_stage(self, identity: str, *, reason: str = "removed") -> None:
        """Send a co-publisher back to the viewers. Needs `manage_stage`."""
        await self._execute(DemoteFromStage(room=self.room_name, identity=identity, reason=reason))

    async def request_stage(
        self, *, publish: bool = True, microphone: AudioSource | None = None, camera: VideoSource | None = None
    ) -> Request:
        """Raise a hand. When it is accepted microphone and camera open by themselves, unless `publish` is False.

        What is not given is the client's, and no camera where it has none. What is given is closed when it is published
        no longer, or not at all because the request ended otherwise.
        """
        return await self._ask(RequestKind.STAGE, opening=self._opening(microphone, camera, publish=publish))

    async def approve_stage(self, request_id: int) -> Request:
        """Say yes to a raised hand: its sender is on stage in the same step. Needs `manage_requests`."""
        return await self._approve(request_id)

    async def reject_stage(self, request_id: int, *, reason: str = "rejected") -> Request:
        """Say no to a raised hand. Needs `manage_requests`."""
        return await self._reject(request_id, reason)

    async def accept_invitation(
        self,
        request_id: int,
        *,
        publish: bool = True,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
        grant_timeout: float | None = None,
    ) -> Request:
        """Accept an invitation on stage; microphone and camera open unless `publish` is False.

        What is not given is the client's, and no camera where it has none; otherwise as `go_live`.
        """
        opening = self._opening(microphone, camera, publish=publish)
        epoch = self._operations.begin()
        request = await self._approve(request_id)
        await self._open_devices(epoch, opening, grant_timeout)
        return request

    async def decline_invitation(self, request_id: int, *, reason: str = "declined") -> Request:
        """Decline an invitation on stage."""
        return await self._reject(request_id, reason)

    async def leave_stage(self) -> None:
        """Step down: microphone, camera and screen are off when this returns."""
        self._operations.supersede("the stage was left")
        await self._execute(LeaveStage(room=self.room_name))
        for source in TrackSource:
            await self.room.unpublish(source)

    def _refresh(self, room: Room, event: Event | None) -> None:
        if event is None or isinstance(event, _STAGE_EVENTS):
            self._members = room.stage.copy()
            self._show_stage()
        if isinstance(event, StageLeft) and event.identity == self.identity and event.by != self.identity:
            self._operations.supersede("the place on stage was taken away")

    async def _connect(self, ticket: UTDTokenResponse) -> None:
        await super()._connect(ticket)
        self._show_stage()

    def _on_media(self, event: RoomEvent) -> None:
        super()._on_media(event)
        # Names are known to the media plane, and a member may come on stage before its connection is there.
        if isinstance(event, ParticipantJoined) and event.participant.identity in self._members:
            self._show_stage()

    def _show_stage(self) -> None:
        self._stage.set(tuple(map(self._named, self._members.values())))

    def _named(self, member: StageMember) -> UTDStageMember:
        if member.identity == self.identity:
            name = self._context.name
        else:
            participant = self.room.participants.get(member.identity)
            name = "" if participant is None else participant.name
        return UTDStageMember(member.identity, name, member.role, member.muted_audio, member.muted_video)

    def _device_sources(self, *, with_camera: bool = False) -> tuple[TrackSource, ...]:
        has_camera = with_camera or self._context.devices.camera is not None
        return _DEVICES if has_camera else (TrackSource.MICROPHONE,)
