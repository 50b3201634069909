"""Backends for which the last word is not what counts."""

from __future__ import annotations

from typing import Any

from .covers import ConnectionCover, ReaderCover, TrackCover, caught_by

MOMENT = 0.1


@caught_by("C138")
class MutesByTheFirstWord(TrackCover):
    def begin(self) -> None:
        self.deaf_until = 0.0

    async def set_muted(self, muted: bool) -> None:
        if self.clock.monotonic() >= self.deaf_until:
            self.deaf_until = self.clock.monotonic() + MOMENT
            await self.inner.set_muted(muted)


@caught_by("C139")
class SubscribesByTheFirstWord(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.deaf_until = 0.0

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        if self.clock.monotonic() >= self.deaf_until:
            self.deaf_until = self.clock.monotonic() + MOMENT
            await self.inner.set_subscribed(track_id, subscribed)


class _Sulking(ReaderCover):
    async def __anext__(self) -> Any:
        while True:
            await self.inner.__anext__()


@caught_by("C140")
class SendsToTheFirstReader(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.readers = 0

    def cover_reader(self, reader: Any) -> Any:
        self.readers += 1
        return super().cover_reader(reader) if self.readers == 1 else _Sulking(reader, self.backend)
