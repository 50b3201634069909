"""What every session has: a room, events, devices, and a media connection that comes back when it is lost."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from ...concurrency import within
from ...errors import (
    Closed,
    ConnectionLost,
    ErrorCode,
    Forbidden,
    InvalidInput,
    PublishRefused,
    Refused,
    Unauthenticated,
    UTDStreamException,
)
from ...media.events import ConnectionState, DisconnectReason, Speaker, StateChanged
from ...media.quality import VideoQuality
from ...media.sinks.base import Sink
from ...media.sinks.record import RecordStatistics, record
from ...media.sources.base import AudioSource, VideoSource
from ...model.command import Command
from ...model.permission import Grant, TrackSource
from ...model.results import UTDTokenResponse
from ...model.session import SessionTrigger
from ...model.stream_type import UTDStreamType
from ..context import ClientContext
from ..media.devices import MediaSource, Opening, check_no_media
from ..media.receiving import Receiving
from ..media.room import RoomHooks, UTDRoom
from ..models import (
    EndReason,
    LocalParticipant,
    RemoteParticipant,
    Resynced,
    RoomEvent,
    RoomStatistics,
    SessionEnd,
    SessionEvent,
    SyncState,
)
from ..state.event_stream import EventSource, EventStream
from ..state.observable import Observable, Variable
from .lifecycle import SessionLifecycle
from .visit import Visit, end_of

log = logging.getLogger("utd_core.client")

_FINAL = {
    DisconnectReason.REMOVED: SessionEnd(EndReason.REMOVED, "the server side removed this participant"),
    DisconnectReason.ROOM_CLOSED: SessionEnd(EndReason.ROOM_ENDED, "the room was closed"),
    DisconnectReason.DUPLICATE_IDENTITY: SessionEnd(EndReason.REPLACED, "this identity joined from another place"),
}
"""Ends of a media connection that a client must not answer by coming back."""


_TURNS = 32
"""Turns of the event loop to wait for a grant without a deadline: in one process it is a few turns away, and starting
and ending a deadline takes longer than that."""


class UTDSession(Receiving, SessionLifecycle):
    """Base of the four sessions; a client makes them.

    Every method may be called, cancelled or overtaken by `leave()` and `aclose()` at any moment, from any task and from
    a callback. A session that was left or lost can be joined again; one that was closed is over.
    """

    def __init__(self, context: ClientContext, type: UTDStreamType) -> None:
        super().__init__(context, type)
        self._link = context.link
        self._sync: Variable[SyncState] = self._variable(SyncState.IDLE)
        self._events: EventSource[SessionEvent] = EventSource()
        self.room = UTDRoom(
            context.link,
            adaptive_stream=context.adaptive_stream,
            simulcast=context.simulcast,
            e2ee=context.e2ee,
            dynacast=context.dynacast,
            deadline=context.connect_deadline,
            devices=context.devices,
            scope=self._scope,
            hooks=RoomHooks(self._on_media, self._is_entitled, comes_back=True),
        )
        self._reception = self.room._reception

    @property
    def sync(self) -> Observable[SyncState]:
        """Whether the state shown here follows the engine, is being recovered, or is lost."""
        return self._sync

    @property
    def can_publish(self) -> Observable[bool]:
        """Whether the server side grants at least one source."""
        return self.room.can_publish

    @property
    def remote_participants(self) -> Observable[tuple[RemoteParticipant, ...]]:
        """Everybody else on the media plane: their tracks, whether they speak and how loud, how well they are
        connected, and what the application says of them."""
        return self.room.remote_participants

    @property
    def speakers(self) -> Observable[tuple[Speaker, ...]]:
        """Who speaks now, loudest first, this participant itself included; where the backend tells."""
        return self.room.speakers

    @property
    def dominant_speaker(self) -> Observable[str | None]:
        """Who of them has the word: until silent, or until another is clearly louder. None while nobody speaks."""
        return self.room.dominant_speaker

    @property
    def local_participant(self) -> LocalParticipant | None:
        """This participant on the media plane, None without a connection."""
        return self.room.local_participant

    @property
    def events(self) -> EventStream[SessionEvent]:
        """The raw stream: events of the media plane, facts of the engine, and gaps (`Resynced`)."""
        return self._events.stream

    async def set_microphone(self, enabled: bool, source: AudioSource | None = None) -> None:
        """Open the microphone (with `source`, or the present one, or the client's default), or mute it.

        Waits for no permission: raises `Forbidden` at once unless it is granted. Muting gives up an operation that
        waits to open it. Raises `Superseded`, `Conflict` (not_joined), `ConnectionLost`.
        """
        self._check_switch(TrackSource.MICROPHONE, enabled, source)
        await self.room.set_microphone(enabled, source)

    async def set_camera(self, enabled: bool, source: VideoSource | None = None) -> None:
        """Open or mute the camera; otherwise as `set_microphone`."""
        self._check_switch(TrackSource.CAMERA, enabled, source)
        await self.room.set_camera(enabled, source)

    async def set_screen_share(self, enabled: bool, source: VideoSource | None = None) -> None:
        """Share `source` beside the camera, or stop sharing; otherwise as `set_microphone`."""
        self._check_switch(TrackSource.SCREEN_SHARE, enabled, source)
        await self.room.set_screen_share(enabled, source)

    async def send_data(
        self, payload: bytes, *, reliable: bool = True, to: Collection[str] | None = None, topic: str = ""
    ) -> None:
        """Send data to everybody else, or only to some. Raises `TooLarge`, `Forbidden`, `ConnectionLost`."""
        if type(payload) is not bytes:
            raise InvalidInput(f"the payload must be bytes, got {type(payload).__name__}; encode it first")
        if isinstance(to, str):
            raise InvalidInput(f"`to` is a collection of identities; write [{to!r}]")
        self._check_joined()
        await self.room.send_data(payload, reliable=reliable, destination_identities=to, topic=topic)

    async def set_video_quality(
        self, identity: str, quality: VideoQuality, source: TrackSource = TrackSource.CAMERA
    ) -> None:
        """Have a participant's video in this size until this session is left, over new tracks and connections, also
        when called before there is a video. A video that is published without `simulcast` has one size.

        Raises `InvalidInput` for a source of sound, `Conflict` (not_joined), `Unsupported` where the backend has no
        simulcast.
        """
        self._check_joined()
        await self.room.set_video_quality(identity, quality, source)

    async def statistics(self) -> RoomStatistics:
        """Counters, at this moment, of what this participant publishes, sends and receives."""
        return await self.room.statistics()

    async def record(
        self,
        identity: str,
        *sinks: Sink,
        source: TrackSource = TrackSource.MICROPHONE,
        capacity: int = 250,
        origin: float | None = None,
    ) -> RecordStatistics:
        """Write what a participant publishes to every sink until this session is left; cancel it to stop earlier.

        See `utd_core.media.sinks.record` for `origin` and the result. The sinks stay open.
        """
        async with self.frames(identity, source, capacity=capacity) as frames:
            return await record(frames, *sinks, clock=self._clock, origin=origin)

    @abstractmethod
    def _entitlement(self) -> Grant:
        """What the mirrored state grants this participant, by the model's own function."""

    @abstractmethod
    def _why_refused(self, source: TrackSource) -> str:
        """Why that does not hold a source, and what to do about it."""

    @abstractmethod
    async def _renew(self) -> UTDTokenResponse:
        """A fresh ticket after the media connection was lost."""

    @abstractmethod
    def _device_sources(self, *, with_camera: bool = False) -> tuple[TrackSource, ...]:
        """What is opened together with a place. `with_camera`: the application gives pictures for it."""

    @abstractmethod
    def _catch_up(self) -> None:
        """Apply the engine's facts that have arrived already."""

    async def _stay_connected(self, visit: Visit, ticket: UTDTokenResponse) -> None:
        """Connect, tell that the session is in, and come back for as long as that makes sense; then the visit ends."""
        await self._connect(ticket)
        self._move(SessionTrigger.SUCCEED)
        visit.joined()
        retry, regained_at = self._context.retry, -math.inf
        while True:
            reason = await self.room.wait_disconnected()
            self._catch_up()
            if reason in _FINAL:
                visit.finish(_FINAL[reason])
                await checkpoint()
            self._move(SessionTrigger.LOSE)
            log.info("%s lost its media connection (%s); coming back", self.identity, reason.value)
            if self._clock.monotonic() - regained_at > retry.longest_wait:
                attempts, pause = retry.waits(self.identity, self._clock), 0.0
            # Lost as soon as it was had again: without a pause, two who replace each other would never rest.
            await self._clock.sleep(pause)
            pause = await self._come_back(visit, reason, attempts)
            regained_at = self._clock.monotonic()
            self._move(SessionTrigger.RECOVER)

    async def _connect(self, ticket: UTDTokenResponse) -> None:
        await self.room.connect_with(ticket)
        self._changed.notify()

    async def _come_back(self, visit: Visit, reason: DisconnectReason, attempts: Iterator[float]) -> float:
        """Connect with fresh tickets until it works; finishes the visit when it is refused, or patience ends.

        `attempts`: seconds to wait after each one. The wait that the last one would have been followed by.
        """
        for wait in attempts:
            try:
                await self._connect(await self._renew())
            except (Refused, Unauthenticated) as error:
                self._catch_up()
                visit.finish(end_of(error))
            except Closed:
                raise
            except UTDStreamException as error:
                log.info("%s cannot come back yet: %s", self.identity, error)
            else:
                return wait
            await self._clock.sleep(wait)
        lost = ConnectionLost(
            f"the media connection was lost ({reason.value}) and could not be had again "
            f"in {self._context.retry.patience:g} s; join again",
            details={"reason": reason.value},
        )
        visit.finish(SessionEnd(EndReason.CONNECTION_LOST, lost.message, lost))
        # The visit that is finished is cancelled here.
        await checkpoint()
        raise lost

    async def _say_goodbye(self, command: Command) -> Any:
        """Give a last command, whose failure changes nothing: the engine finds out by itself in time."""
        try:
            return await within(
                self._clock, self._context.goodbye_deadline, self._link.execute(command), "the engine did not answer"
            )
        except UTDStreamException as error:
            log.debug("%s could not say goodbye: %s", self.identity, error)
            return None

    async def _decided(self, command: Command) -> Any:
        """Give a command and wait for its answer even when cancelled: who knows the outcome can undo it."""
        with anyio.CancelScope(shield=True):
            return await self._link.execute(command)

    def _is_entitled(self, source: TrackSource) -> bool:
        return source in self._entitlement().publish

    def _check_switch(self, source: TrackSource, enabled: bool, media: MediaSource | None) -> None:
        """A device may be opened, or an operation that waits to open it is given up."""
        self._check_joined()
        if enabled:
            self._check_entitled(source)
            return
        check_no_media(source, media)
        if source is not TrackSource.SCREEN_SHARE:
            self._operations.supersede(f"the {source.value} was switched off")

    def _check_entitled(self, source: TrackSource) -> None:
        """Raise `Forbidden` where the mirrored rules already say no, though the backend may not know yet."""
        if not self._is_entitled(source):
            raise Forbidden(
                f"publishing {source.value} is not granted: {self._why_refused(source)}", code=ErrorCode.PUBLISH_REFUSED
            )

    def _is_granted(self, source: TrackSource) -> bool:
        return self._is_entitled(source) and source in self.room.grant.value.publish

    def _opening(self, microphone: AudioSource | None, camera: VideoSource | None, *, publish: bool = True) -> Opening:
        """What is opened together with a place. Raises `InvalidInput` for a source that is not opened there."""
        return Opening(self._device_sources(with_camera=camera is not None) if publish else (), microphone, camera)

    async def _open_devices(self, epoch: int, opening: Opening, timeout: float | None = None) -> None:
        """Open what an operation opens as soon as rules and backend grant all of it.

        Raises `DeadlineExceeded` (grant_timeout), `Superseded`, and what opening a device raises.
        """
        if not opening.sources:
            return
        self._catch_up()
        with self._operations.pending(epoch):
            seen = self._changed.count
            if await self._try_to_open(opening):
                return
            for _ in range(_TURNS):
                await checkpoint()
                if seen != self._changed.count:
                    seen = self._changed.count
                    if await self._try_to_open(opening):
                        return
            seconds = self._context.grant_timeout if timeout is None else timeout
            await within(
                self._clock,
                seconds,
                self._open_when_granted(opening, seen),
                f"the media server did not grant {', '.join(opening.sources)} within {seconds:g} s; "
                "the place is kept: open the device later, or leave it",
                ErrorCode.GRANT_TIMEOUT,
            )

    async def _open_when_granted(self, opening: Opening, seen: int) -> None:
        while True:
            await self._changed.wait(seen)
            self._check_open()
            seen = self._changed.count
            if await self._try_to_open(opening):
                return

    async def _try_to_open(self, opening: Opening) -> bool:
        """Open them; False while they are not granted, also where only the server side knows that yet."""
        if not all(map(self._is_granted, opening.sources)):
            return False
        try:
            if TrackSource.MICROPHONE in opening.sources:
                await self.room.set_microphone(True, opening.microphone)
            if TrackSource.CAMERA in opening.sources:
                await self.room.set_camera(True, opening.camera)
        except (Forbidden, PublishRefused, ConnectionLost) as error:
            log.info("%s has to wait with its devices: %s", self.identity, error)
            return False
        return True

    def _conclude(self, visit: Visit) -> None:
        lost = visit.end is not None and visit.end.reason is EndReason.SYNC_LOST
        self._sync.set(SyncState.LOST if lost else SyncState.IDLE)
        super()._conclude(visit)

    def _close_streams(self) -> None:
        self.room.close_streams()
        self._events.close()

    def _on_media(self, event: RoomEvent) -> None:
        if isinstance(event, StateChanged):
            if event.state is ConnectionState.RECONNECTING:
                self._move(SessionTrigger.LOSE)
            elif event.state is ConnectionState.CONNECTED:
                self._move(SessionTrigger.RECOVER)
        self._changed.notify()
        self._events.publish(event)

    def _on_recovering(self) -> None:
        """The mirror's stream broke."""
        self._sync.set(SyncState.RECOVERING)

    def _announce_resynced(self, channel: str, recovered: bool) -> None:
        self._sync.set(SyncState.LIVE)
        self._events.publish(Resynced(channel, recovered))

    def _lost_mirror(self, error: UTDStreamException | None) -> None:
        """The state is lost, and a session without its state is none."""
        if error is None:
            end = SessionEnd(EndReason.REMOVED, "the engine ended this participant's place")
        elif isinstance(error, Closed):
            end = SessionEnd(EndReason.ENGINE_CLOSED, error.message, error)
        elif isinstance(error, Forbidden):
            end = SessionEnd(EndReason.BANNED if error.is_banned else EndReason.REMOVED, error.message, error)
        else:
            end = SessionEnd(EndReason.SYNC_LOST, f"the state could not be had again: {error.message}", error)
        self._end_visit(end)
