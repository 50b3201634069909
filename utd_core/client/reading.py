"""Frames of a remote participant, whatever becomes of the tracks that carry them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..concurrency import Overflow
from ..errors import ConnectionLost, NotFound
from ..media.backend import FrameReader
from ..media.events import TrackInfo
from ..media.frames import Frame
from ..model.permission import TrackSource

if TYPE_CHECKING:
    from .room import UTDRoom


@dataclass(eq=False, slots=True)
class Stay:
    """From coming into a room to leaving it, over any number of connections."""

    is_over: bool = False


@dataclass(eq=False, frozen=True, slots=True)
class SubscribedTrack:
    """A remote track from the moment it can be read to the moment it cannot."""

    track: TrackInfo


class RemoteFrames(AsyncIterator[Frame]):
    """Frames of one source of one participant: those of its track, then of the next one when it publishes anew.

    Waits while there is none; ends when *this* participant leaves the room. A slow reader loses frames by its policy.
    An adaptive stream is sent only while somebody reads, so close it (`async with`) when it is no longer watched.
    """

    def __init__(self, room: UTDRoom, identity: str, source: TrackSource, capacity: int, overflow: Overflow) -> None:
        self.identity = identity
        self.source = source
        self._room = room
        self._stay = room.stay
        self._capacity = capacity
        self._overflow = overflow
        self._subscribed: SubscribedTrack | None = None
        self._reader: FrameReader | None = None
        self._closed = False
        self._open()

    async def __anext__(self) -> Frame:
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
                await self._room.tracks_changed.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading. Idempotent."""
        self._closed = True
        await self._let_go()
        self._room.tracks_changed.notify()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _open(self) -> bool:
        """Read the present track; False while there is none but the one that has just ended."""
        if self._stay.is_over:
            return False
        subscribed = self._room.subscribed(self.identity, self.source)
        if subscribed is None or subscribed is self._subscribed:
            return False
        try:
            self._reader = self._room.read(subscribed, capacity=self._capacity, overflow=self._overflow)
        except (NotFound, ConnectionLost):
            return False
        self._subscribed = subscribed
        return True

    async def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()
