"""What others publish, as far as this participant gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ...concurrency import Closeable, Overflow
from ...errors import ConnectionLost, ErrorCode, NotFound
from ...media.backend import FrameReader, FrameT_co
from ...media.events import MediaEvent, TrackInfo, TrackSubscribed, TrackUnsubscribed
from ...model.permission import TrackSource
from ..state.signal import Signal
from .media_plane import MediaPlane


@dataclass(eq=False, slots=True)
class Stay:
    """From coming into a room to leaving it, over any number of connections."""

    is_over: bool = False


@dataclass(eq=False, frozen=True, slots=True)
class SubscribedTrack:
    """A remote track from the moment it can be read to the moment it cannot."""

    track: TrackInfo


class Reception:
    """The remote tracks that can be read now. `changed` is notified when they are others, or the stay is over."""

    def __init__(self) -> None:
        self.stay = Stay()
        self.changed = Signal()
        self._connection: MediaPlane | None = None
        # More than one where somebody publishes the same source on several devices.
        self._tracks: dict[tuple[str, TrackSource], dict[str, SubscribedTrack]] = {}

    def attach(self, connection: MediaPlane) -> None:
        """There is a connection."""
        self._connection = connection

    def detach(self) -> None:
        """There is none."""
        self._connection = None
        self._tracks.clear()
        self.changed.notify()

    def end_stay(self) -> None:
        """This participant has left: what was being read ends, and does not wait for another connection."""
        self.stay.is_over = True
        self.stay = Stay()
        self.changed.notify()

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection."""
        match event:
            case TrackSubscribed(identity, track):
                self._tracks.setdefault((identity, track.source), {})[track.id] = SubscribedTrack(track)
                self.changed.notify()
            case TrackUnsubscribed(identity, track):
                present = self._tracks.get((identity, track.source), {})
                if present.pop(track.id, None) is not None:
                    if not present:
                        del self._tracks[identity, track.source]
                    self.changed.notify()
            case _:
                pass

    def find(self, identity: str, source: TrackSource) -> SubscribedTrack | None:
        """A remote track that can be read now; of several the one that came first."""
        present = self._tracks.get((identity, source))
        return None if present is None else next(iter(present.values()))

    def reader(self, identity: str, source: TrackSource, capacity: int, overflow: Overflow) -> FrameReader[Any]:
        """Read the track that is there; the source tells which kind of frames it has.

        Raises `NotFound` (track_not_found), `ConnectionLost`.
        """
        subscribed = self.find(identity, source)
        if subscribed is None:
            raise NotFound(f"{identity!r} has no {source.value} to read now", code=ErrorCode.TRACK_NOT_FOUND)
        return self.read(subscribed, capacity, overflow)

    def read(self, subscribed: SubscribedTrack, capacity: int, overflow: Overflow) -> FrameReader[Any]:
        """Raises `NotFound`, `ConnectionLost`."""
        if self._connection is None:
            raise ConnectionLost("there is no media connection now; connect, or wait until it is back")
        return self._connection.read(subscribed.track.id, capacity=capacity, overflow=overflow)


class RemoteFrames(Closeable, AsyncIterator[FrameT_co]):
    """Frames of one source of one participant: those of its track, then of the next one when it publishes anew.

    Waits while there is none; ends when *this* participant leaves the room. A slow reader loses frames by its policy.
    An adaptive stream is sent only while somebody reads, so close it (`async with`) when it is no longer watched.
    """

    def __init__(
        self, reception: Reception, identity: str, source: TrackSource, capacity: int, overflow: Overflow
    ) -> None:
        self.identity = identity
        self.source = source
        self._reception = reception
        self._stay = reception.stay
        self._capacity = capacity
        self._overflow = overflow
        self._subscribed: SubscribedTrack | None = None
        self._reader: FrameReader[FrameT_co] | None = None
        self._closed = False
        self._open()

    async def __anext__(self) -> FrameT_co:
        while not self._closed:
            if self._reader is not None or self._open():
                assert self._reader is not None
                try:
                    return await anext(self._reader)
                except StopAsyncIteration:
                    await self._let_go()
            elif self._stay.is_over:
                break
            else:
                await self._reception.changed.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading. Idempotent."""
        self._closed = True
        await self._let_go()
        self._reception.changed.notify()

    def _open(self) -> bool:
        """Read the present track; False while there is none but the one that has just ended."""
        if self._stay.is_over:
            return False
        subscribed = self._reception.find(self.identity, self.source)
        if subscribed is None or subscribed is self._subscribed:
            return False
        try:
            self._reader = self._reception.read(subscribed, self._capacity, self._overflow)
        except (NotFound, ConnectionLost):
            return False
        self._subscribed = subscribed
        return True

    async def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()
