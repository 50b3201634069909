"""A conforming backend that behaves like one with a codec and a network: nothing arrives as it was written."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace
from typing import Any

from utd_core.errors import InvalidFrame
from utd_core.media.backend import PublishOptions, TrackStatistics
from utd_core.media.events import TrackKind
from utd_core.media.frames import AudioFrame, VideoFrame

from .covers import ConnectionCover, TrackCover, covered

RATE = 48_000
CHUNK_US = 10_000
SILENT_US = 60_000
"""What a codec and a jitter buffer swallow at the beginning."""


class CodecConnection(ConnectionCover):
    """Sound goes out as stereo of 48 kHz in frames of 10 ms, softer and with noise; pictures get noise."""

    def begin(self) -> None:
        super().begin()
        self.tracks: dict[str, CodecTrack] = {}

    async def publish(self, options: PublishOptions) -> Any:
        coded = replace(options, sample_rate=RATE, channels=2)
        track = CodecTrack(await self.inner.publish(coded), self.backend)
        track.options = options
        self.tracks[track.info.id] = track
        return track

    async def statistics(self) -> Any:
        counted = await self.inner.statistics()
        return replace(counted, sent=tuple(self.tracks[entry.track.id].account(entry) for entry in counted.sent))


class CodecTrack(TrackCover):
    options: PublishOptions

    def begin(self) -> None:
        self.chance = random.Random(1)
        self.coded_us = 0
        self.written = self.dropped = 0

    def account(self, counted: TrackStatistics) -> TrackStatistics:
        return replace(counted, frames=self.written, dropped=self.dropped)

    async def write(self, frame: Any) -> None:
        self.check(frame)
        if self.inner.info.muted:
            self.dropped += 1
        else:
            self.written += 1
        if isinstance(frame, VideoFrame):
            await self.inner.write(self.grainy(frame))
            return
        sound = self.decoded(frame)
        size = 4 * RATE * CHUNK_US // 1_000_000
        for start in range(0, len(sound) - size + 1, size):
            chunk = sound[start : start + size] if self.coded_us >= SILENT_US else bytes(size)
            await self.inner.write(AudioFrame(chunk, RATE, 2, self.coded_us))
            self.coded_us += CHUNK_US

    def check(self, frame: Any) -> None:
        wanted = self.options
        if TrackKind.of(wanted.source) is TrackKind.VIDEO:
            right = isinstance(frame, VideoFrame) and (frame.width, frame.height) == (wanted.width, wanted.height)
        else:
            shape = wanted.sample_rate, wanted.channels
            right = isinstance(frame, AudioFrame) and (frame.sample_rate, frame.channels) == shape
        if not right:
            raise InvalidFrame("not what this track was published with")

    def grainy(self, frame: VideoFrame) -> VideoFrame:
        shift = self.chance.randint(-4, 4)
        table = bytes(min(255, max(0, value + shift)) for value in range(256))
        return replace(frame, data=frame.data.translate(table))

    def decoded(self, frame: AudioFrame) -> bytes:
        pcm = array("h", frame.data)
        left, right = pcm[:: frame.channels], pcm[frame.channels - 1 :: frame.channels]
        sound = array("h")
        for index in range(len(left) * RATE // frame.sample_rate):
            at = index * frame.sample_rate // RATE
            noise = self.chance.randint(-60, 60)
            sound.extend((int(left[at] * 0.8) + noise, int(right[at] * 0.8) + noise))
        return sound.tobytes()


NETWORK = {"latency_ms": 40, "jitter_ms": 15, "seed": 3}
LIKE_A_NETWORK = covered(CodecConnection, settings=NETWORK, exact_media=False)
IN_REAL_TIME = covered(CodecConnection, settings=NETWORK, exact_media=False, virtual_time=False)
