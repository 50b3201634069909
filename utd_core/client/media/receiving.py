"""Reading what others publish, as a room and a session in it offer it."""

from __future__ import annotations

from typing import Any, overload

from ...concurrency import Overflow
from ...media.backend import FrameReader
from ...media.frames import AudioFrame, Frame, VideoFrame
from ...model.permission import AudioTrackSource, TrackSource, VideoTrackSource
from .reception import Reception, RemoteFrames


class Receiving:
    """`frames` and `reader`: of a source of sound they give `AudioFrame`s, of a camera or a screen `VideoFrame`s."""

    _reception: Reception

    @overload
    def frames(
        self,
        identity: str,
        source: AudioTrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> RemoteFrames[AudioFrame]: ...

    @overload
    def frames(
        self, identity: str, source: VideoTrackSource, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> RemoteFrames[VideoFrame]: ...

    @overload
    def frames(
        self, identity: str, source: TrackSource, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> RemoteFrames[Frame]: ...

    def frames(
        self,
        identity: str,
        source: TrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> RemoteFrames[Any]:
        """`async for frame in session.frames("bob")`: what a participant publishes, until this room is left.

        Waits while nothing is published, and goes on when it is again. `capacity`: frames held for a slow reader (50
        are a second of sound).
        """
        return RemoteFrames(self._reception, identity, source, capacity, overflow)

    @overload
    def reader(
        self,
        identity: str,
        source: AudioTrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> FrameReader[AudioFrame]: ...

    @overload
    def reader(
        self, identity: str, source: VideoTrackSource, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> FrameReader[VideoFrame]: ...

    @overload
    def reader(
        self, identity: str, source: TrackSource, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> FrameReader[Frame]: ...

    def reader(
        self,
        identity: str,
        source: TrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> FrameReader[Any]:
        """A reader of the track that is there now; it ends with the track. Raises `NotFound`, `ConnectionLost`."""
        return self._reception.reader(identity, source, capacity, overflow)
