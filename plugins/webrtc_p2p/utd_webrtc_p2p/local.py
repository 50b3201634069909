"""A published track, at its publisher."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Protocol

from utd_core.concurrency import Clock
from utd_core.errors import Closed, ConnectionLost
from utd_core.media.arguments import check_picture, check_sound
from utd_core.media.backend import LocalTrack, PublishOptions, TrackStatistics
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import AudioFrame, Frame, VideoFrame

from .conversion import SoundCutter
from .feeds import PictureFeed, Piece, SoundFeed
from .loudness import Loudness


class Publisher(Protocol):
    """The connection that a track belongs to."""

    @property
    def clock(self) -> Clock: ...

    def way_of(self, track: P2PLocalTrack) -> SoundFeed | PictureFeed | None:
        """Where its frames go now; None where nobody is there, or nobody wants them."""

    @property
    def is_broken(self) -> bool:
        """Somebody is there, and there is no way."""

    async def mute(self, track: P2PLocalTrack, muted: bool) -> None:
        """Tell the control half. Raises `Closed` or `ConnectionLost`."""

    async def unpublish(self, track: P2PLocalTrack) -> None:
        """Tell the control half. Raises `Closed` or `ConnectionLost`."""


class P2PLocalTrack(LocalTrack):
    """Its frames go into the feed of the peer connection that there is at the time."""

    def __init__(self, info: TrackInfo, options: PublishOptions, publisher: Publisher) -> None:
        self._info = info
        self._publisher = publisher
        self._ended = False
        self._silenced = info.muted
        self._frames = self._bytes = self._dropped = 0
        self.options = options
        self.wanted = info.kind is TrackKind.AUDIO
        """Whether the other side wants it; of a video it says so when somebody looks."""

    @property
    def info(self) -> TrackInfo:
        return self._info

    @property
    def is_silent(self) -> bool:
        """Nothing of it may go out."""
        return self._ended or self._silenced

    def muted_is(self, muted: bool) -> None:
        """The control half has the last word on it."""
        self._info = replace(self._info, muted=muted)
        self._silence(muted)

    def end(self) -> None:
        """The track takes no frames any more. Idempotent."""
        self._silence(True)
        self._ended = True

    async def set_muted(self, muted: bool) -> None:
        if self._ended:
            raise self._closed()
        if muted:
            # At once, whatever the control half takes to hear of it.
            self._silence(True)
        await self._publisher.mute(self, muted)

    async def unpublish(self) -> None:
        if self._ended:
            return
        self.end()
        try:
            await self._publisher.unpublish(self)
        except (Closed, ConnectionLost):
            return  # the end of the connection has ended the track as well

    def statistics(self) -> TrackStatistics:
        level = None if self.loudness is None else self.loudness.level()
        return TrackStatistics(self._info, self._frames, self._bytes, self._dropped, level=level)

    async def write(self, frame: Frame) -> None:
        if self._ended:
            raise self._closed()
        self._check(frame)
        if self._silenced or self._publisher.is_broken:
            self._dropped += 1
            return
        self._frames += 1
        self._bytes += len(frame.data)
        self._note(frame)
        feed = self._publisher.way_of(self)
        if feed is not None:
            self._dropped += self._pass_on(frame, feed)

    def _silence(self, silent: bool) -> None:
        if silent and not self._silenced and not self._ended:
            feed = self._publisher.way_of(self)
            if feed is not None:
                feed.finish()
        self._silenced = silent

    @property
    def loudness(self) -> Loudness | None:
        """How loud it is; None for pictures."""
        return None

    def _note(self, frame: Frame) -> None:
        """A frame of it is out, whether somebody is there to hear it or not."""

    @abstractmethod
    def _check(self, frame: Frame) -> None:
        """Raise `InvalidFrame` for one that the track was not published for."""

    @abstractmethod
    def _pass_on(self, frame: Frame, feed: SoundFeed | PictureFeed) -> int:
        """Give a frame to the encoder; how many had to make room for it."""

    def _closed(self) -> Closed:
        return Closed(f"track {self.info.id!r} ({self.info.source}) has ended; publish again to get a new one")


class LocalSound(P2PLocalTrack):
    """Takes `AudioFrame`s of the rate and channel count it was published with."""

    def __init__(self, info: TrackInfo, options: PublishOptions, publisher: Publisher) -> None:
        super().__init__(info, options, publisher)
        self._cutter = SoundCutter(options.sample_rate, options.channels)
        self._loudness = Loudness(publisher.clock)

    @property
    def loudness(self) -> Loudness:
        return self._loudness

    def _note(self, frame: Frame) -> None:
        assert isinstance(frame, AudioFrame)
        self._loudness.note(frame)

    def _check(self, frame: Frame) -> None:
        check_sound(frame, self.options.sample_rate, self.options.channels)

    def _pass_on(self, frame: Frame, feed: SoundFeed | PictureFeed) -> int:
        assert isinstance(frame, AudioFrame)
        assert isinstance(feed, SoundFeed)
        channels, bitrate = self.options.channels, self.options.bitrate
        return sum(not feed.put(Piece(data, channels, bitrate)) for data in self._cutter.cut(frame))


class LocalPictures(P2PLocalTrack):
    """Takes `VideoFrame`s of the size it was published with, in any pixel format."""

    def _check(self, frame: Frame) -> None:
        check_picture(frame, self.options.width, self.options.height)

    def _pass_on(self, frame: Frame, feed: SoundFeed | PictureFeed) -> int:
        assert isinstance(frame, VideoFrame)
        assert isinstance(feed, PictureFeed)
        return int(not feed.put(frame))


def local_track(info: TrackInfo, options: PublishOptions, publisher: Publisher) -> P2PLocalTrack:
    """The publisher's handle for a track of either kind."""
    return (LocalSound if info.kind is TrackKind.AUDIO else LocalPictures)(info, options, publisher)
