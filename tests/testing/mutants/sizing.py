"""Backends that get the sizes of simulcast videos wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from utd_core.errors import InvalidInput, NotFound
from utd_core.media.backend import PublishOptions
from utd_core.media.events import TrackSubscribed
from utd_core.media.quality import VideoQuality

from .covers import ConnectionCover, EventsCover, caught_by


@caught_by("C112", "C113", "C114", "C115", "C116", "C118", "C119")
class MeetsNoWish(ConnectionCover):
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        del track_id, quality


@caught_by("C112", "C113")
class HasNoMiddleLayer(ConnectionCover):
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        await self.inner.set_quality(track_id, VideoQuality.LOW if quality is VideoQuality.MEDIUM else quality)


@caught_by("C113")
class MeetsOnlyTheFirstWish(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.met: set[str] = set()

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        if track_id not in self.met:
            self.met.add(track_id)
            await self.inner.set_quality(track_id, quality)


@caught_by("C111", "C114")
class BeginsSmall(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        participant = self.inner.native
        if participant.room.tracks[track_id].is_video and track_id not in participant.qualities:
            participant.subscriptions[track_id].set_quality(VideoQuality.MEDIUM)
        return super().read(track_id, **options)


@caught_by("C114")
class HasOneSizeForEverybody(ConnectionCover):
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        await self.inner.set_quality(track_id, quality)
        for participant in self.inner.native.room.participants.values():
            if track_id in participant.subscriptions:
                participant.subscriptions[track_id].set_quality(quality)


class _Forgetful(EventsCover):
    """The events of a connection whose wishes end with each subscription."""

    participant: Any

    async def hand_out(self) -> AsyncIterator[Any]:
        async for event in self.inner:
            if isinstance(event, TrackSubscribed) and self.participant.qualities.pop(event.track.id, None):
                self.participant.subscriptions[event.track.id].set_quality(VideoQuality.HIGH)
            yield event


@caught_by("C115", "C116")
class ForgetsWishes(ConnectionCover):
    def begin(self) -> None:
        events = _Forgetful(self.inner.events, self.backend)
        events.participant = self.inner.native
        self.covered_events = events


@caught_by("C117")
class MakesLayersUnasked(ConnectionCover):
    async def publish(self, options: PublishOptions) -> Any:
        return await super().publish(replace(options, simulcast=True))


@caught_by("C118")
class WishesInTheDark(ConnectionCover):
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        try:
            await self.inner.set_quality(track_id, quality)
        except NotFound:
            return


@caught_by("C119")
class SizesSound(ConnectionCover):
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        try:
            await self.inner.set_quality(track_id, quality)
        except InvalidInput:
            return
