"""A 1:1 call, audio or video: both sides publish, either side ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from ...broker.base import Subscription
from ...errors import ConnectionLost, ErrorCode, InvalidInput, UTDStreamException
from ...media.sources.base import AudioSource, VideoSource
from ...model.call import DEFAULT_RING_TIMEOUT, Call, UTDCallStatus
from ...model.channels import call_channel
from ...model.commands import AcceptCall, BusyCall, EndCall, GetCall, RejectCall, RingCall, StartCall
from ...model.grants import call_grant_of, why_refused_in_call
from ...model.permission import Grant, TrackSource
from ...model.results import UTDCall, UTDTokenResponse
from ...model.rules import call_view
from ...model.stream_type import UTDStreamType
from ...store.base import Envelope
from ..context import ClientContext
from ..media.devices import Opening
from ..media.room_state import NO_GRANT
from ..models import EndReason, SessionEnd, SyncState
from ..state.call_state import apply_call, call_of
from ..state.mirror import Following, Mirror, Snapshot
from ..state.observable import Observable, Variable
from .session import UTDSession
from .visit import Visit


class UTDCallSession(UTDSession):
    """One call at a time; when it is over the session can make or take the next one.

    The caller `start`s; a device of the callee says that it is `ringing`, then `accept`s, `reject`s or is `busy`. The
    status follows the engine: the other side's end, a ring timeout (missed) or an answer on another device arrive by
    themselves, and the media connection ends with the call.
    """

    def __init__(self, context: ClientContext, type: UTDStreamType) -> None:
        if not type.is_call:
            raise InvalidInput(f"{type.value} is not a call; use join_live_stream() or join_audio_room()")
        super().__init__(context, type)
        self._mirror: Mirror[Call] | None = None
        self._answered_here = False
        self._call: Variable[UTDCall | None] = self._variable(None)
        self._status: Variable[UTDCallStatus | None] = self._variable(None)

    @property
    def status(self) -> Observable[UTDCallStatus | None]:
        """Initiating, ringing, active, and four ends; None before the first call."""
        return self._status

    @property
    def call_id(self) -> Observable[str | None]:
        """The id of the present or last call; None before the first one."""
        return self._call.map(lambda call: None if call is None else call.call_id)

    @property
    def call(self) -> Observable[UTDCall | None]:
        """All that is known of the present or last call: parties, times, why it ended and by whom."""
        return self._call

    @property
    def answered_elsewhere(self) -> bool:
        """Whether another device of this identity answered: this one stops ringing."""
        call = self._call.value
        return (
            call is not None
            and call.answered_at is not None
            and call.callee_identity == self.identity
            and not self._answered_here
        )

    async def start(
        self,
        callee_identity: str,
        callee_name: str = "",
        metadata: dict[str, Any] | None = None,
        *,
        ring_timeout: float = DEFAULT_RING_TIMEOUT,
        max_duration: float | None = None,
        microphone: AudioSource | None = None,
        camera: VideoSource | None = None,
    ) -> UTDCall:
        """Call somebody: ring, connect, and publish microphone (and camera in a video call). The call as it began.

        What is not given is the client's. What is given is taken over and closed at its end; if this raises, what it
        did not publish still belongs to the caller.
        Does not wait for the answer; `status` tells. `ring_timeout` (5 to 180 s) without an answer makes it missed.
        Raises `Conflict` callee_busy (and the status is busy), already_in_call, or already_joined while another call
        of this session goes on; `InvalidInput` call_to_self, or in a video call when there is no camera;
        `Superseded` when `end()` is called meanwhile. A caller that is cancelled takes the call back.
        """
        command = StartCall(
            type=self.type,
            callee=callee_identity,
            callee_name=callee_name,
            ring_timeout=ring_timeout,
            max_duration=max_duration,
            metadata=metadata or {},
        )
        return await self._take_part(command, self._opening(microphone, camera))

    async def accept(
        self, id: str, *, microphone: AudioSource | None = None, camera: VideoSource | None = None
    ) -> UTDCall:
        """Answer a call on this device: connect and publish, as `start`. Raises as `start`, and `NotFound`."""
        return await self._take_part(AcceptCall(id=id), self._opening(microphone, camera))

    async def ringing(self, id: str) -> None:
        """Tell that this device rings, and follow the call. Raises `Conflict`, `NotFound`."""
        call = await self._command(RingCall(id=id))
        if self._visit is None:
            self._show(call)
            await self._follow(call)

    async def reject(self, id: str) -> None:
        """Say no. Raises `Conflict` when it is over or was answered, `NotFound`."""
        self._show(await self._command(RejectCall(id=id)))

    async def busy(self, id: str) -> None:
        """Tell the caller that this callee is busy. Raises `Conflict`, `NotFound`."""
        self._show(await self._command(BusyCall(id=id)))

    async def end(self) -> None:
        """Hang up: before the answer it is the caller's cancel or the callee's rejection.

        Tolerates a call that is over or was ended by the other side in the same moment, and one that has not begun. A
        call that another device answered goes on there.
        """
        has_part = self._visit is not None
        await self._depart(SessionEnd(EndReason.CALL_ENDED, "the call was ended here"))
        if self.answered_elsewhere:
            self._stop_following()
        elif not has_part and self._call.value is not None:
            await self._hang_up(self._call.value)

    async def leave(self) -> None:
        """The same as `end()`: a call that one side leaves is over. The session can be used again."""
        await self.end()

    async def _take_part(self, command: StartCall | AcceptCall, opening: Opening) -> UTDCall:
        opening.check(self._context.devices)
        await self._see_off()
        epoch = self._operations.begin()
        taken: list[UTDCall] = []

        async def stay(visit: Visit) -> None:
            await self._stay_in_call(visit, command, taken)

        try:
            await self._begin(stay)
            await self._open_devices(epoch, opening)
        except UTDStreamException:
            # The other side's end is no failure of this call to the SDK: the call was made, and its status tells.
            if not (taken and self._was_ended_by_other(taken[0])):
                raise
            await opening.aclose()
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self.end()
            raise
        return taken[0]

    async def _stay_in_call(self, visit: Visit, command: StartCall | AcceptCall, taken: list[UTDCall]) -> None:
        call = await self._enter(command)
        taken.append(call)
        try:
            await self._follow(call)
            await self._stay_connected(visit, _ticket_of(call))
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    self.room.hush()
                    await self._hang_up(call)
                finally:
                    await self.room.disconnect()

    async def _enter(self, command: StartCall | AcceptCall) -> UTDCall:
        try:
            call: UTDCall = await self._decided(command)
        except UTDStreamException as error:
            if error.code == ErrorCode.CALLEE_BUSY:
                self._stop_following()
                self._call.set(None)
                self._status.set(UTDCallStatus.BUSY)
            raise
        if self._is_another(call):
            self._stop_following()
        self._answered_here = isinstance(command, AcceptCall)
        self._display(call)
        return call

    async def _renew(self) -> UTDTokenResponse:
        call = self._call.value
        assert call is not None
        return _ticket_of(await self._command(GetCall(id=call.call_id)))

    async def _hang_up(self, call: UTDCall) -> None:
        """End a call unless it is over."""
        self._catch_up()
        present = self._call.value
        if present is not None and present.call_id == call.call_id and present.status.is_terminal:
            return
        ended: UTDCall | None = await self._say_goodbye(EndCall(id=call.call_id))
        if ended is not None:
            self._show(ended)

    def _was_ended_by_other(self, call: UTDCall) -> bool:
        self._catch_up()
        present = self._call.value
        return (
            present is not None
            and present.call_id == call.call_id
            and present.status.is_terminal
            and present.ended_by != self.identity
        )

    async def _command(self, command: Any) -> UTDCall:
        self._check_open()
        call: UTDCall = await self._link.execute(command)
        return call

    def _device_sources(self, *, with_camera: bool = False) -> tuple[TrackSource, ...]:
        return (TrackSource.MICROPHONE, TrackSource.CAMERA) if self.type.has_video else (TrackSource.MICROPHONE,)

    async def _follow(self, call: UTDCall) -> None:
        """Mirror a call, unless it is over or mirrored already."""
        channel = call_channel(call.call_id)
        if call.status.is_terminal or (self._mirror is not None and self._mirror.channel == channel):
            return
        self._stop_following()

        async def read(subscription: Subscription) -> Snapshot[Call]:
            view: UTDCall = await self._link.execute(GetCall(id=call.call_id))
            return Snapshot(call_of(view), view.epoch, view.offset)

        self._mirror = mirror = Mirror(
            self._link,
            channel,
            read=read,
            apply=apply_call,
            follower=Following(self._on_changed, self._on_recovering, self._on_resynced, self._on_lost),
            retry=self._context.retry,
            identity=self.identity,
        )
        try:
            await self._scope.open()
            await mirror.open()
            if self._mirror is mirror:
                self._scope.start(mirror.run, name="mirror")
                self._sync.set(SyncState.LIVE)
        except BaseException:
            mirror.stop()
            if self._mirror is mirror:
                self._mirror = None
            raise

    def _stop_following(self) -> None:
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            mirror.stop()

    def _catch_up(self) -> None:
        if self._mirror is not None:
            self._mirror.catch_up()

    def _show(self, call: UTDCall) -> None:
        """Show what is known of a call now, unless the session is busy with another one."""
        if self._visit is None or not self._is_another(call):
            self._display(call)

    def _display(self, call: UTDCall) -> None:
        self._call.set(call)
        self._status.set(call.status)
        self._changed.notify()
        if call.status.is_terminal:
            self._stop_following()
            words = f"the call was ended: {call.end_reason} (by {call.ended_by})"
            is_banned = call.end_reason == "banned" and call.ended_party == self.identity
            self._end_visit(SessionEnd(EndReason.BANNED if is_banned else EndReason.CALL_ENDED, words))

    def _is_another(self, call: UTDCall) -> bool:
        """Whether the session shows another call that is not over."""
        present = self._call.value
        return present is not None and present.call_id != call.call_id and not present.status.is_terminal

    def _on_changed(self, envelope: Envelope | None) -> None:
        """The mirrored call has changed."""
        mirror = self._mirror
        if mirror is None:
            return
        self._show(call_view(mirror.state))
        self.room.check_entitlement()
        if envelope is not None:
            self._events.publish(envelope.event)

    def _on_resynced(self, recovered: bool) -> None:
        """The mirrored call is live again."""
        assert self._mirror is not None
        self._announce_resynced(self._mirror.channel, recovered)

    def _on_lost(self, error: UTDStreamException | None) -> None:
        """The mirrored call is lost."""
        self._mirror = None
        self._sync.set(SyncState.LOST)
        self._lost_mirror(error)

    def _entitlement(self) -> Grant:
        mirror = self._mirror
        return NO_GRANT if mirror is None or not mirror.is_open else call_grant_of(mirror.state, self.identity)

    def _why_refused(self, source: TrackSource) -> str:
        mirror = self._mirror
        if mirror is None or not mirror.is_open:
            return "the call's state is not known now"
        return why_refused_in_call(mirror.state, self.identity)


def _ticket_of(call: UTDCall) -> UTDTokenResponse:
    if call.ticket is None:
        raise ConnectionLost(
            f"the call is {call.status.value}, so there is no place to connect to", 409, ErrorCode.CALL_ENDED
        )
    return call.ticket
