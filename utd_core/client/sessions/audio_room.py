"""An audio room: whoever holds a seat speaks, everybody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, cast

from ...media.sources.base import AudioSource, VideoSource
from ...model.commands import (
    ClearSeat,
    GetSeats,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    ReserveSeat,
    SetupSeats,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from ...model.event import Event
from ...model.permission import TrackSource
from ...model.request import Request, RequestKind
from ...model.room import Room
from ...model.seats import SeatLeft, SeatMode
from ...model.stream_type import UTDStreamType
from ..context import ClientContext
from ..media.devices import Opening
from ..models import UTDSeat, UTDSeatGrid
from ..state.observable import Observable, Variable
from .room_session import UTDRoomSession


class UTDAudioRoomSession(UTDRoomSession):
    """Publishing is seat occupancy, never a role: the seat is taken, the engine grants, the microphone opens.

    Sound only, unless the room was made with `seat_video`. What the rules refuse is raised as `Conflict` or `Forbidden`
    with a code that names it (`seat_taken`, `seat_locked`, `seats_by_request`, `outranked`, ...).
    """

    def __init__(
        self, context: ClientContext, room_name: str, *, as_host: bool, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(context, UTDStreamType.AUDIO_ROOM, room_name, as_host=as_host, options=options)
        self._seat_turn = asyncio.Lock()
        self._seats: Variable[UTDSeatGrid] = self._variable(UTDSeatGrid())

    @property
    def seats(self) -> Observable[UTDSeatGrid]:
        """The grid: its mode, and who sits where."""
        return self._seats

    @property
    def seat(self) -> UTDSeat | None:
        """The own seat."""
        return self._seats.value.seat_of(self.identity)

    async def get_seats(self) -> UTDSeatGrid:
        """The grid as the engine has it now. `seats` follows it without asking."""
        grid: UTDSeatGrid = await self._execute(GetSeats(room=self.room_name))
        return grid

    async def setup_seats(
        self,
        seat_count: int | None = None,
        seat_mode: SeatMode | Literal["free", "request"] | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Change number (1 to 100) and mode of the seats; None leaves one as it is. Needs `manage_seats`."""
        # The command reads the word too, and refuses a wrong one.
        mode = cast("SeatMode | None", seat_mode)
        grid: UTDSeatGrid = await self._execute(
            SetupSeats(room=self.room_name, seat_count=seat_count, seat_mode=mode, mode_id=mode_id)
        )
        return grid

    async def take_seat(
        self,
        index: int | None = None,
        *,
        publish: bool = True,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
        grant_timeout: float | None = None,
    ) -> UTDSeat:
        """Take a seat (None: any free one), wait until publishing is granted, and open the microphone.

        What is heard is `microphone`, or else the client's; a camera is opened where one is given, in a room that was
        made with `seat_video`. Both are taken over and closed at their end; if this raises, what it did not publish
        still belongs to the caller. What is locked on the seat stays closed, and so does all with `publish=False`.
        Raises `Superseded` when `leave_seat()`, `set_microphone(False)` or `leave()` is called meanwhile, and
        `DeadlineExceeded` (grant_timeout) after `grant_timeout` seconds (default: the client's): the seat is kept then.
        """
        opening = self._opening(microphone, camera, publish=publish)
        epoch = self._operations.begin()
        async with self._seat_turn:
            seat: UTDSeat = await self._execute(TakeSeat(room=self.room_name, index=_or_any(index)))
        await self._open_on(seat, epoch, opening, grant_timeout)
        return seat

    async def leave_seat(self) -> None:
        """Back to the listeners: the microphone is off when this returns, and nothing that waits opens it any more."""
        self._operations.supersede("the seat was left")
        async with self._seat_turn:
            await self._execute(LeaveSeat(room=self.room_name))
        for source in (TrackSource.MICROPHONE, TrackSource.CAMERA):
            await self.room.unpublish(source)

    async def move_seat(self, index: int | None = None, *, identity: str | None = None) -> UTDSeat:
        """Move to another seat (None: any free one) in one step. `identity`: somebody else, which a moderator may."""
        async with self._seat_turn:
            seat: UTDSeat = await self._execute(MoveSeat(room=self.room_name, index=_or_any(index), identity=identity))
        return seat

    async def swap_seats(self, first: int, second: int) -> UTDSeatGrid:
        """Swap the occupants of two taken seats in one step. Needs `manage_seats`."""
        grid: UTDSeatGrid = await self._execute(SwapSeats(room=self.room_name, first=first, second=second))
        return grid

    async def lock_seat(self, index: int, *, take: bool = True, audio: bool = False, video: bool = False) -> UTDSeat:
        """Lock parts of a seat: nobody may take it (an occupant is evicted), or publish sound or picture from it."""
        return await self._on_seat(LockSeat(room=self.room_name, index=index, take=take, audio=audio, video=video))

    async def unlock_seat(self, index: int, *, take: bool = True, audio: bool = False, video: bool = False) -> UTDSeat:
        """Unlock parts of a seat. Needs `manage_seats`."""
        return await self._on_seat(UnlockSeat(room=self.room_name, index=index, take=take, audio=audio, video=video))

    async def reserve_seat(self, index: int, identity: str | None) -> UTDSeat:
        """Keep a seat for somebody, who takes it without asking; None lifts it. Needs `manage_seats`."""
        return await self._on_seat(ReserveSeat(room=self.room_name, index=index, identity=identity))

    async def clear_seat(self, index: int, *, reason: str = "removed") -> UTDSeat:
        """Send the occupant back to the listeners. Needs `manage_seats`."""
        return await self._on_seat(ClearSeat(room=self.room_name, index=index, reason=reason))

    async def mute_seat(self, index: int, *, audio: bool = True, video: bool = False) -> UTDSeat:
        """Take the occupant's microphone or camera until it is given back. Needs `mute`."""
        return await self._on_seat(MuteSeat(room=self.room_name, index=index, audio=audio, video=video))

    async def unmute_seat(self, index: int, *, audio: bool = True, video: bool = False) -> UTDSeat:
        """Give them back; the occupant opens the device. Needs `mute`."""
        return await self._on_seat(UnmuteSeat(room=self.room_name, index=index, audio=audio, video=video))

    async def request_to_speak(
        self,
        seat_index: int | None = None,
        *,
        publish: bool = True,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
    ) -> Request:
        """Ask for a seat. When it is accepted the microphone opens by itself, as in `take_seat`.

        It does not open with `publish=False`, nor when the request was taken back, or the microphone switched off,
        before that; what was given is closed then.
        """
        opening = self._opening(microphone, camera, publish=publish)
        return await self._ask(RequestKind.SPEAK, seat_index=seat_index, opening=opening)

    async def approve_speaker(self, request_id: int, *, seat_index: int | None = None) -> Request:
        """Say yes to a request to speak: its sender is seated in the same step. Needs `manage_requests`."""
        return await self._approve(request_id, seat_index)

    async def reject_speaker(self, request_id: int, *, reason: str = "rejected") -> Request:
        """Say no to a request to speak. Needs `manage_requests`."""
        return await self._reject(request_id, reason)

    async def invite_to_speak(self, identity: str, seat_index: int | None = None) -> Request:
        """Invite a listener to a seat; the listener answers. Needs `manage_requests`."""
        return await self._ask(RequestKind.SPEAK_INVITE, to=identity, seat_index=seat_index)

    async def accept_invitation(
        self,
        request_id: int,
        *,
        publish: bool = True,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
        grant_timeout: float | None = None,
    ) -> Request:
        """Accept an invitation to speak; then as `take_seat`."""
        opening = self._opening(microphone, camera, publish=publish)
        epoch = self._operations.begin()
        request = await self._approve(request_id)
        self._catch_up()
        await self._open_on(self.seat, epoch, opening, grant_timeout)
        return request

    async def decline_invitation(self, request_id: int, *, reason: str = "declined") -> Request:
        """Decline an invitation to speak."""
        return await self._reject(request_id, reason)

    async def go_live(self) -> None:
        """Open the room to the audience. Needs `go_live`."""
        await self._go_live()

    async def _on_seat(self, command: Any) -> UTDSeat:
        seat: UTDSeat = await self._execute(command)
        return seat

    def _refresh(self, room: Room, event: Event | None) -> None:
        self._seats.set(room.grid)
        if isinstance(event, SeatLeft) and event.identity == self.identity and event.by != self.identity:
            self._operations.supersede("the seat was taken away")

    async def _open_on(self, seat: UTDSeat | None, epoch: int, opening: Opening, grant_timeout: float | None) -> None:
        """Open what the seat lets through; None: a seat that was lost again meanwhile."""
        if seat is not None and seat.audio_locked:
            opening = await opening.without(TrackSource.MICROPHONE)
        if seat is not None and seat.video_locked:
            opening = await opening.without(TrackSource.CAMERA)
        await self._open_devices(epoch, opening, grant_timeout)

    def _device_sources(self, *, with_camera: bool = False) -> tuple[TrackSource, ...]:
        room = self._mirrored
        has_video = room is not None and room.settings.seat_video
        return (TrackSource.MICROPHONE, TrackSource.CAMERA) if with_camera and has_video else (TrackSource.MICROPHONE,)


def _or_any(index: int | None) -> int | Literal["any"]:
    return "any" if index is None else index
