"""One remote track as this participant has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from livekit import rtc
from livekit.rtc._proto.track_pb2 import AudioTrackFeature

from utd_core.concurrency import Overflow
from utd_core.errors import ErrorCode, NotFound
from utd_core.media.backend import TrackStatistics
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.quality import VideoQuality
from utd_core.media.reading import QueueReader

from .feeds import Feed
from .moderation import MuteWords
from .sdk import let_go, repeat_settings, set_enabled
from .subscribing import Subscribing
from .words import LastWord

_QUALITIES: Mapping[VideoQuality, rtc.VideoQuality.ValueType] = {
    VideoQuality.LOW: rtc.VideoQuality.VIDEO_QUALITY_LOW,
    VideoQuality.MEDIUM: rtc.VideoQuality.VIDEO_QUALITY_MEDIUM,
    VideoQuality.HIGH: rtc.VideoQuality.VIDEO_QUALITY_HIGH,
}

Wish = tuple[bool, VideoQuality]
"""Of a video: whether it is to be sent, and its largest size."""


class RemoteTrack:
    """`publication` is another one after its publisher, or this participant, has connected anew; the wishes stay."""

    def __init__(
        self,
        identity: str,
        info: TrackInfo,
        publication: rtc.RemoteTrackPublication,
        attributes: Mapping[str, str],
        *,
        is_adaptive: bool,
    ) -> None:
        self.identity = identity
        self.info = info
        self.publication = publication
        self.mutes = MuteWords(info.id, attributes)
        self.wish = VideoQuality.HIGH
        self._is_adaptive = is_adaptive and info.kind is TrackKind.VIDEO
        self._feed: Feed | None = None
        self._native: rtc.RemoteAudioTrack | rtc.RemoteVideoTrack | None = None
        self.subscribing = Subscribing(self._subscribe, lambda: self.is_subscribed)
        self._wishes = LastWord(self._tell_wish, self._repeat_wish)
        self.is_returning = False
        """It was subscribed before a reconnect, and will be again."""

    @property
    def native(self) -> rtc.Track | None:
        """The SDK's track, while it is received."""
        return self._native

    @property
    def is_subscribed(self) -> bool:
        return self._feed is not None

    def set_muted(self, muted: bool) -> None:
        self._update(replace(self.info, muted=muted))

    def bind(self, publication: rtc.RemoteTrackPublication) -> None:
        """The SDK's present object for it."""
        if publication is not self.publication:
            self.publication = publication
            self.is_returning = self.is_subscribed

    def subscribed(self, track: rtc.RemoteAudioTrack | rtc.RemoteVideoTrack) -> bool:
        """The SDK receives it, in this object; whether that is news."""
        self.is_returning = False
        if track is self._native:
            return False
        is_news = self._feed is None
        if self._feed is None:
            is_stereo = AudioTrackFeature.TF_STEREO in self.publication.audio_features
            self._feed = Feed.of(self.info, is_stereo, lambda _: self.apply_wishes())
        self._native = track
        self._feed.follow(track)
        # Unasked it is sent. One that nobody reads is refused a moment later, for there are readers that come with it.
        self._wishes.stands((True, self.wish))
        self.apply_wishes()
        return is_news

    def unsubscribed(self) -> bool:
        """It is received no more; whether that is news."""
        self._wishes.stop()
        self.is_returning = False
        feed, native, self._feed, self._native = self._feed, self._native, None, None
        if feed is not None:
            feed.close()
            let_go(native)
        return feed is not None

    def apply_wishes(self) -> None:
        """Tell the server what is wanted of the track: nothing while nobody reads it, else the wished size."""
        if self._native is None or self._feed is None or self.info.kind is TrackKind.AUDIO:
            return
        self._wishes.say((self._feed.is_wanted or not self._is_adaptive, self.wish))

    def read(self, capacity: int, overflow: Overflow) -> QueueReader:
        """Raises `NotFound` when it is not subscribed."""
        if self._feed is None:
            raise not_subscribed(self.info.id)
        return QueueReader(self._feed, capacity, overflow)

    def statistics(self) -> TrackStatistics:
        """Raises `NotFound` when it is not subscribed."""
        if self._feed is None:
            raise not_subscribed(self.info.id)
        return TrackStatistics(self.info, self._feed.count, self._feed.bytes)

    def _subscribe(self, wanted: bool) -> None:
        self.publication.set_subscribed(wanted)

    def _tell_wish(self, wish: Wish) -> None:
        is_wanted, quality = wish
        set_enabled(self.publication, is_wanted)
        if is_wanted and self.publication.simulcasted:
            self.publication.set_video_quality(_QUALITIES[quality])

    def _repeat_wish(self, wish: Wish) -> None:
        # What the native library has been told already it does not tell again.
        is_wanted, _ = wish
        if is_wanted and self.publication.simulcasted:
            self._tell_wish(wish)
        else:
            repeat_settings(self.publication)

    def _update(self, info: TrackInfo) -> None:
        self.info = info
        if self._feed is not None:
            self._feed.info = info


def not_subscribed(track_id: str) -> NotFound:
    return NotFound(f"track {track_id!r} is not subscribed; wait for TrackSubscribed", code=ErrorCode.TRACK_NOT_FOUND)


def not_published(track_id: str) -> NotFound:
    return NotFound(f"nobody else publishes a track {track_id!r}", code=ErrorCode.TRACK_NOT_FOUND)
