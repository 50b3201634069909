"""A published track, at its publisher."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from livekit import rtc

from utd_core.errors import Closed, MediaError
from utd_core.media.arguments import check_picture, check_sound
from utd_core.media.backend import LocalTrack, PublishOptions, TrackStatistics
from utd_core.media.codec import VideoCodec
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import BYTES_PER_SAMPLE, AudioFrame, Frame, PixelFormat, VideoFrame

from .capture import AudioCapture
from .names import new_track_id, wire_name
from .sdk import let_go
from .sources import CLIENT_SOURCES
from .words import LastWord

QUEUE_MS = 200
"""Sound that may wait to be sent. `write` waits when there is more."""

LEAD_MS = 20
"""Silence ahead of the first frame, and of the first after a pause: so much may a writer be late without being heard to
be. The native library takes 10 ms at a time, on its own clock, and sends 10 ms of silence where there is nothing, which
is a lead as well: each hole that a late writer makes is the last of its length. So this need only cover the usual
lateness of an event loop. It costs nothing while the track is being taken to others, which takes longer; after a pause
the sound is heard so much later, 79 ms instead of 59 after it was written."""

Unpublish = Callable[["LiveKitLocalTrack"], Coroutine[Any, Any, None]]


class LiveKitLocalTrack(LocalTrack):
    """The publisher's handle. `unpublish` is the connection's part of the end."""

    def __init__(self, identity: str, options: PublishOptions, unpublish: Unpublish) -> None:
        self.id = new_track_id(identity)
        self.options = options
        self.publication: rtc.LocalTrackPublication | None = None
        self._unpublish = unpublish
        self._muted = False
        self._mute_words = LastWord(self._tell_muted)
        self._is_silenced = False
        """The SDK's track is muted, or has been told to be."""
        self._ended = False
        self._frames = self._bytes = self._dropped = 0

    @property
    def info(self) -> TrackInfo:
        return TrackInfo(self.id, self.options.source, self._muted, self.options.name)

    @property
    def wire_name(self) -> str:
        """What LiveKit calls it."""
        return wire_name(self.id, self.options.name)

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    @abstractmethod
    def native(self) -> Any:
        """The SDK's track."""

    @property
    @abstractmethod
    def publish_options(self) -> rtc.TrackPublishOptions:
        """As the SDK takes them."""

    async def set_muted(self, muted: bool) -> None:
        if self._ended:
            raise self._closed()
        if muted != self._muted:
            self._muted = muted
            self._mute_words.say(muted)

    def notice_mute(self, muted: bool) -> bool:
        """The SDK's track is muted, or not any more; whether that is news, and so the server's doing."""
        if muted == self._is_silenced:
            return False
        self._is_silenced = muted
        self._mute_words.stands(muted)
        is_news = muted != self._muted
        self._muted = muted
        return is_news

    async def unpublish(self) -> None:
        if not self._ended:
            self.end()
            await self._unpublish(self)

    def end(self) -> None:
        """The track takes no frames any more. Idempotent."""
        self._ended = True
        self._mute_words.stop()

    @abstractmethod
    async def release(self) -> None:
        """Let go of what the SDK holds for it."""

    def _tell_muted(self, muted: bool) -> None:
        if muted != self._is_silenced:
            self._is_silenced = muted
            (self.native.mute if muted else self.native.unmute)()

    async def write(self, frame: Frame) -> None:
        if self._ended:
            raise self._closed()
        self._check(frame)
        if self._muted:
            self._dropped += 1
            return
        try:
            await self._capture(frame)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # The SDK raises plain exceptions, and a source that was let go of is one reason.
            if self._ended:
                raise self._closed() from error
            raise MediaError(f"LiveKit did not take a frame of track {self.id!r}: {error}") from error
        self._frames += 1
        self._bytes += len(frame.data)

    def statistics(self) -> TrackStatistics:
        return TrackStatistics(self.info, self._frames, self._bytes, self._dropped)

    @abstractmethod
    def _check(self, frame: Frame) -> None:
        """Raises `InvalidFrame` unless it is of the shape that was published."""

    @abstractmethod
    async def _capture(self, frame: Any) -> None: ...

    def _closed(self) -> Closed:
        return Closed(f"track {self.id!r} ({self.options.source}) has ended; publish again to get a new one")


class LiveKitAudioTrack(LiveKitLocalTrack):
    """Takes `AudioFrame`s of the rate and channel count it was published with."""

    def __init__(self, identity: str, options: PublishOptions, unpublish: Unpublish) -> None:
        super().__init__(identity, options, unpublish)
        self._source = rtc.AudioSource(options.sample_rate, options.channels, QUEUE_MS)
        self._track = rtc.LocalAudioTrack.create_audio_track(self.wire_name, self._source)
        self._capturing = AudioCapture(self._source)
        self._lead = bytes(BYTES_PER_SAMPLE * options.channels * (options.sample_rate * LEAD_MS // 1_000))

    @property
    def native(self) -> rtc.LocalAudioTrack:
        return self._track

    @property
    def publish_options(self) -> rtc.TrackPublishOptions:
        options = self.options
        wanted = rtc.TrackPublishOptions(source=CLIENT_SOURCES[options.source], dtx=options.dtx, red=options.red)
        if options.bitrate is not None:
            wanted.audio_encoding.max_bitrate = options.bitrate
        return wanted

    def end(self) -> None:
        super().end()
        self._capturing.close()

    async def release(self) -> None:
        await self._source.aclose()
        let_go(self._track)

    def _check(self, frame: Frame) -> None:
        check_sound(frame, self.options.sample_rate, self.options.channels)

    async def _capture(self, frame: AudioFrame) -> None:
        data = frame.data
        await self._capturing.write(self._lead + data if self._capturing.is_silent else data)


class LiveKitVideoTrack(LiveKitLocalTrack):
    """Takes `VideoFrame`s of the size it was published with, in any pixel format."""

    def __init__(self, identity: str, options: PublishOptions, unpublish: Unpublish) -> None:
        super().__init__(identity, options, unpublish)
        # A shared screen too: as a "screencast" it would lose pictures that do not change.
        self._source = rtc.VideoSource(options.width, options.height)
        self._track = rtc.LocalVideoTrack.create_video_track(self.wire_name, self._source)

    @property
    def native(self) -> rtc.LocalVideoTrack:
        return self._track

    @property
    def publish_options(self) -> rtc.TrackPublishOptions:
        options = self.options
        wanted = rtc.TrackPublishOptions(
            source=CLIENT_SOURCES[options.source],
            simulcast=options.simulcast and _has_smaller_sizes(options),
            video_codec=_CODECS[options.codec or VideoCodec.VP8],
        )
        wanted.video_encoding.max_framerate = options.framerate
        wanted.video_encoding.max_bitrate = options.bitrate or _usual_bitrate(options)
        return wanted

    async def release(self) -> None:
        await self._source.aclose()
        let_go(self._track)

    def _check(self, frame: Frame) -> None:
        check_picture(frame, self.options.width, self.options.height)

    async def _capture(self, frame: VideoFrame) -> None:
        self._source.capture_frame(
            rtc.VideoFrame(frame.width, frame.height, _FORMATS[frame.format], frame.data),
            timestamp_us=frame.timestamp_us,
        )


def local_track(identity: str, options: PublishOptions, unpublish: Unpublish) -> LiveKitLocalTrack:
    """A track of either kind, not yet published."""
    is_audio = TrackKind.of(options.source) is TrackKind.AUDIO
    return (LiveKitAudioTrack if is_audio else LiveKitVideoTrack)(identity, options, unpublish)


_CODECS: Mapping[VideoCodec, rtc.VideoCodec.ValueType] = {
    VideoCodec.VP8: rtc.VideoCodec.VP8,
    VideoCodec.H264: rtc.VideoCodec.H264,
    VideoCodec.VP9: rtc.VideoCodec.VP9,
    VideoCodec.AV1: rtc.VideoCodec.AV1,
}
_FORMATS = {PixelFormat.I420: rtc.VideoBufferType.I420, PixelFormat.RGBA: rtc.VideoBufferType.RGBA}


def _has_smaller_sizes(options: PublishOptions) -> bool:
    """Whether simulcast gives anything: of a video under 960 pixels the SDK makes one more that is 360 high, however
    high the video is, and would code one of that height twice."""
    is_wide = options.width * 3 > options.height * 4
    return max(options.width, options.height) > (640 if is_wide else 480)


def _usual_bitrate(options: PublishOptions) -> int:
    """Bit/s for pictures of this size: about 1.7 Mbit/s at 720p with 30 a second, and never less than 150 kbit/s."""
    pixels = options.width * options.height * options.framerate
    return max(150_000, round(pixels * 0.0625))
