"""A published track, at its publisher."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from utd_core.errors import Closed, ConnectionLost
from utd_core.media.arguments import check_picture, check_sound
from utd_core.media.backend import LocalTrack, TrackStatistics
from utd_core.media.events import TrackInfo
from utd_core.media.frames import Frame

from .tracks import PublishedTrack

if TYPE_CHECKING:
    from .server import MockServer


class Publisher(Protocol):
    """The connection that a track belongs to."""

    async def request(self) -> None:
        """One round trip to the server. Raises `Closed` or `ConnectionLost` when the connection has ended."""

    def forget(self, track: MockLocalTrack) -> None:
        """The track has been unpublished."""


class MockLocalTrack(LocalTrack):
    """The publisher's handle; the track itself is the server's."""

    def __init__(self, server: MockServer, track: PublishedTrack, publisher: Publisher) -> None:
        self._server = server
        self._publisher = publisher
        self._ended = False
        self.published = track

    @property
    def info(self) -> TrackInfo:
        return self.published.info

    async def set_muted(self, muted: bool) -> None:
        if self._ended:
            raise self._closed()
        await self._publisher.request()
        self._server.tracks.set_muted(self.published, muted, by_server=False)

    async def unpublish(self) -> None:
        if self._ended:
            return
        try:
            await self._publisher.request()
        except (Closed, ConnectionLost):
            return  # the end of the connection has ended the track as well
        self.end()
        self._publisher.forget(self)
        self._server.tracks.unpublish(self.published)

    def end(self) -> None:
        """The track takes no frames any more. Idempotent."""
        self._ended = True

    def statistics(self) -> TrackStatistics:
        track = self.published
        return TrackStatistics(track.info, track.frames, track.bytes, track.dropped)

    @abstractmethod
    async def write(self, frame: Frame) -> None: ...

    def _closed(self) -> Closed:
        return Closed(f"track {self.info.id!r} ({self.info.source}) has ended; publish again to get a new one")


class MockAudioTrack(MockLocalTrack):
    """Takes `AudioFrame`s of the rate and channel count it was published with."""

    def __init__(self, server: MockServer, track: PublishedTrack, publisher: Publisher) -> None:
        super().__init__(server, track, publisher)
        self._rate = track.options.sample_rate
        self._channels = track.options.channels

    async def write(self, frame: Frame) -> None:
        if self._ended:
            raise self._closed()
        check_sound(frame, self._rate, self._channels)
        track = self.published
        if not track.flowing:
            track.dropped += 1
            return
        track.frames += 1
        track.bytes += len(frame.data)
        for outlet in track.outlets:
            outlet(frame)


class MockVideoTrack(MockLocalTrack):
    """Takes `VideoFrame`s of the size it was published with, in any pixel format."""

    def __init__(self, server: MockServer, track: PublishedTrack, publisher: Publisher) -> None:
        super().__init__(server, track, publisher)
        self._width = track.options.width
        self._height = track.options.height

    async def write(self, frame: Frame) -> None:
        if self._ended:
            raise self._closed()
        check_picture(frame, self._width, self._height)
        track = self.published
        if not track.flowing:
            track.dropped += 1
            return
        track.frames += 1
        track.bytes += len(frame.data)
        for outlet in track.outlets:
            outlet(frame)


def local_track(server: MockServer, track: PublishedTrack, publisher: Publisher) -> MockLocalTrack:
    """The publisher's handle for a track of either kind."""
    return (MockVideoTrack if track.is_video else MockAudioTrack)(server, track, publisher)
