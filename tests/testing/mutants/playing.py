"""Backends that carry media wrongly."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from secrets import token_hex
from typing import Any

from utd_core.concurrency import Overflow
from utd_core.errors import Closed, InvalidFrame, NotFound, PublishRefused, Unsupported
from utd_core.media.backend import ConnectOptions, PublishOptions
from utd_core.media.codec import VideoCodec
from utd_core.media.encryption import EncryptionKey
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame, VideoFrame
from utd_core.model.permission import Grant, TrackSource

from .covers import BackendCover, ConnectionCover, ReaderCover, TrackCover, caught_by


@caught_by("C18", "C19", "M20", "M22", "M30", "M32")
class PublishesWithoutAGrant(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            return await super().publish(options)
        except PublishRefused:
            control = self.backend.inner.control
            await control.apply_grant(self.inner.room, self.inner.identity, Grant(publish=frozenset(TrackSource)))
            return await super().publish(options)


@caught_by("C18")
class RefusesSlowly(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            return await super().publish(options)
        except PublishRefused:
            await self.clock.sleep(8.0)
            raise


@caught_by("C18", "C19")
class RefusesWithAForeignError(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            return await super().publish(options)
        except PublishRefused as error:
            raise TimeoutError from error


@caught_by("C21", "C22", "C23", "C24")
class CallsEverythingAMicrophone(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        return await super().publish(replace(options, source=TrackSource.MICROPHONE))


@caught_by(
    "C20",
    "C21",
    "C22",
    "C23",
    "S1",
    "S2",
    "S4",
    "S5",
    "S8",
    "S14",
    "S16",
    "S20",
    "S21",
    "S27",
    "S28",
    "S29",
    "S35",
    "S36",
    "S37",
    "S39",
    "S40",
    "S41",
)
class CarriesNothing(TrackCover):
    async def write(self, frame: Any) -> None:
        del frame


@caught_by("C24", "S4", "S20", "S26")
class MixesTracks(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        tracks = sorted(info.id for who in self.inner.participants.values() for info in who.tracks)
        return super().read(tracks[0] if tracks else track_id, **options)


@caught_by("C25")
class KeepsTheFirstTrack(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.kept: dict[TrackSource, Any] = {}

    async def publish(self, options: Any) -> Any:
        kept = self.kept.get(options.source)
        if kept is None:
            kept = self.kept[options.source] = await super().publish(options)
        return kept


@caught_by("C27", "C28", "C29")
class UnpublishesNothing(TrackCover):
    async def unpublish(self) -> None:
        await asyncio.sleep(0)


@caught_by("C31", "C33", "C26")
class MutesNothing(TrackCover):
    async def set_muted(self, muted: bool) -> None:
        del muted


@caught_by("C33")
class PlaysOnWhileMuted(TrackCover):
    async def write(self, frame: Any) -> None:
        if not self.inner.info.muted:
            await self.inner.write(frame)


@caught_by("C34")
class TogglesTwice(TrackCover):
    async def set_muted(self, muted: bool) -> None:
        await self.inner.set_muted(not muted)
        await self.inner.set_muted(muted)


@caught_by("C35", "C36")
class TakesAnyFrame(TrackCover):
    async def write(self, frame: Any) -> None:
        try:
            await self.inner.write(frame)
        except InvalidFrame:
            return


@caught_by("C35", "C36")
class EndsAfterAWrongFrame(TrackCover):
    async def write(self, frame: Any) -> None:
        try:
            await self.inner.write(frame)
        except InvalidFrame:
            await self.inner.unpublish()
            raise


@caught_by("C37")
class SquashesSimulcast(ConnectionCover):
    async def publish(self, options: PublishOptions) -> Any:
        return await super().publish(replace(options, width=320, height=320) if options.simulcast else options)


@caught_by("C39", "C44")
class SubscribesEverybody(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        connection = await super().connect(ticket, replace(options, auto_subscribe=True) if options else None)
        grant = connection.grant
        if not grant.subscribe:
            control = self.inner.control
            await control.apply_grant(connection.room, connection.identity, replace(grant, subscribe=True))
        return connection


@caught_by("C40", "C42")
class RefusesNoTrack(ConnectionCover):
    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        del track_id, subscribed


@caught_by("C41")
class RefusesForGood(ConnectionCover):
    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        if not subscribed:
            await self.inner.set_subscribed(track_id, subscribed)


@caught_by("C43", "C39")
class ReadsAnything(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        try:
            return super().read(track_id, **options)
        except NotFound:
            return None


@caught_by("C134", "C135")
class LeavesTheKeyAtHome(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        return await super().connect(ticket, replace(options or ConnectOptions(), e2ee=None))


@caught_by("C133")
class HasAKeyForEachOne(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        options = options or ConnectOptions()
        key = None if options.e2ee is None else EncryptionKey(token_hex())
        return await super().connect(ticket, replace(options, e2ee=key))


@caught_by("C136")
class KnowsOneCodec(ConnectionCover):
    async def publish(self, options: PublishOptions) -> Any:
        if options.codec not in (None, VideoCodec.VP8):
            raise Unsupported("VP8 is good enough for everybody")
        return await super().publish(options)


@caught_by("C137")
class TakesACodecForSound(ConnectionCover):
    async def publish(self, options: PublishOptions) -> Any:
        return await super().publish(replace(options, codec=None))


@caught_by("C45")
class SendsUnreadVideo(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        return await super().connect(ticket, replace(options or ConnectOptions(), adaptive_stream=False))


class _Changed(ReaderCover):
    """Frames that are changed one by one: `change(frame)` gives the frame in its place, None to drop it."""

    def begin(self) -> None:
        self.count = 0

    async def __anext__(self) -> Any:
        while True:
            frame = await self.inner.__anext__()
            self.count += 1
            changed = self.change(frame)
            if changed is not None:
                return changed

    def change(self, frame: Any) -> Any:
        return frame


@caught_by("C46", "C48", "C52", "M21", "C29")
class PlaysSilence(_Changed):
    def change(self, frame: Any) -> Any:
        return replace(frame, data=bytes(len(frame.data)))


@caught_by("C46", "C51")
class PlaysAtTheWrongSpeed(_Changed):
    def change(self, frame: Any) -> Any:
        slower = {48_000: 24_000, 24_000: 12_000, 16_000: 8_000}
        if isinstance(frame, AudioFrame):
            return replace(frame, sample_rate=slower.get(frame.sample_rate, frame.sample_rate))
        return frame


_REORDERED = 14
"""Frames, no whole part of the length of any tone or scene of the suite."""


@caught_by("C47", "C93", "C56", "C57", "C92", "C54")
class ReordersFrames(ReaderCover):
    def begin(self) -> None:
        self.held: list[Any] = []

    async def __anext__(self) -> Any:
        if not self.held:
            self.held = [await self.inner.__anext__() for _ in range(_REORDERED)]
        return self.held.pop()


@caught_by("C48", "C56", "C93")
class LosesEverySecondFrame(_Changed):
    def change(self, frame: Any) -> Any:
        return frame if self.count % 2 else None


@caught_by("C49", "C55", "C56", "C57")
class TellsNoTime(_Changed):
    def change(self, frame: Any) -> Any:
        return replace(frame, timestamp_us=0)


@caught_by("C50")
class ChangesShape(_Changed):
    def change(self, frame: Any) -> Any:
        if isinstance(frame, AudioFrame) and frame.channels == 1 and self.count % 5 == 0:
            samples = [frame.data[at : at + 2] for at in range(0, len(frame.data), 2)]
            return replace(frame, channels=2, data=b"".join(sample * 2 for sample in samples))
        return frame


@caught_by("C52")
class PlaysOnlyTheLeftChannel(_Changed):
    def change(self, frame: Any) -> Any:
        if isinstance(frame, AudioFrame) and frame.channels == 2:
            left = [frame.data[at : at + 2] for at in range(0, len(frame.data), 4)]
            return replace(frame, data=b"".join(sample * 2 for sample in left))
        return frame


@caught_by("C53")
class CropsPictures(_Changed):
    def change(self, frame: Any) -> Any:
        if isinstance(frame, VideoFrame):
            width, height = frame.width // 2, frame.height // 2
            return replace(frame, width=width, height=height, data=frame.data[: width * height * 3 // 2])
        return frame


@caught_by("C54", "C57", "S20", "S23", "S25", "S28", "S42")
class ShowsNegatives(_Changed):
    def change(self, frame: Any) -> Any:
        if isinstance(frame, VideoFrame):
            return replace(frame, data=bytes(255 - value for value in frame.data))
        return frame


@caught_by("C58", "C62", "C63")
class SharesFramesAmongReaders(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.shared: dict[str, Any] = {}

    def read(self, track_id: str, **options: Any) -> Any:
        if track_id not in self.shared:
            self.shared[track_id] = super().read(track_id, **options)
        return self.shared[track_id]


@caught_by("C60", "C61")
class AlwaysDropsTheOldest(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        return super().read(track_id, **{**options, "overflow": Overflow.DROP_OLDEST})


@caught_by("C59", "C65")
class HoldsFramesWithoutLimit(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        return super().read(track_id, **{**options, "capacity": 10_000})


@caught_by("C59", "C65")
class CountsNoLoss(ReaderCover):
    def statistics(self) -> Any:
        return replace(self.inner.statistics(), dropped=0)


@caught_by("C63")
class EndsTheSubscriptionWithAReader(ConnectionCover):
    def cover_reader(self, reader: Any) -> Any:
        cover = super().cover_reader(reader)
        connection, inner_close = self.inner, reader.aclose

        async def aclose() -> None:
            await inner_close()
            await connection.set_subscribed(reader.track.id, False)

        cover.aclose = aclose
        return cover


@caught_by("C64", "C30", "C27")
class NeverEndsReaders(ReaderCover):
    async def __anext__(self) -> Any:
        try:
            return await self.inner.__anext__()
        except StopAsyncIteration:
            while True:
                await self.clock.sleep(1.0)


@caught_by("C64", "C27", "C14")
class EndsReadersWithAnError(ReaderCover):
    async def __anext__(self) -> Any:
        try:
            return await self.inner.__anext__()
        except StopAsyncIteration:
            raise Closed("the track has ended") from None


@caught_by("C66")
class LosesFramesWhenCancelled(ReaderCover):
    async def __anext__(self) -> Any:
        frame = await self.inner.__anext__()
        await asyncio.sleep(0)
        return frame


@caught_by("C90", "C91", "C92", "M34", "C6", "S9", "S10", "S40", "S41")
class ProducesNoMediaFaults(BackendCover):
    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        if fault in (Fault.SIGNAL_DROP, Fault.FULL_RECONNECT):
            await self.inner.inject(fault, room, identity, **parameters)
