"""A pump plays a source in real time, and ends in every way that a source or a track can end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from utd_core.concurrency import TaskScope
from utd_core.errors import InvalidFrame, InvalidInput, MediaError
from utd_core.media import (
    AudioFrame,
    FileAudioSource,
    Frame,
    LatePolicy,
    Pump,
    PushAudioSource,
    SilenceAudioSource,
    SourceEnd,
    TestPatternVideoSource,
    ToneAudioSource,
    pump_track,
    read_counter,
)
from utd_core.media.frames import VideoFrame
from utd_core.media.sources.base import AudioSourceBase
from utd_core.testing import VirtualClock
from utd_core.testing.wait import within

from .tools import VOICE, LateClock, NotingTrack, cancel_at_await


class TimedTrack(NotingTrack):
    """Notes at which virtual second each frame came."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual = clock

    async def write(self, frame: Frame) -> None:
        await super().write(frame)
        self.times.append(round(self._virtual.monotonic(), 6))


async def test_the_voice_takes_exactly_its_own_time() -> None:
    clock = VirtualClock()
    track = TimedTrack(clock)
    source = await FileAudioSource.open(VOICE)
    playing = asyncio.create_task(pump_track(source, track, clock))
    await clock.advance_until(playing.done)
    done = playing.result()
    assert done.frames == len(track.frames) == 200
    assert (done.late, done.resyncs, done.skipped) == (0, 0, 0)
    assert track.times == [round(n * 0.02, 6) for n in range(200)]
    assert clock.monotonic() == 4.0, "the last frame has had its time"
    assert track.unpublished == 1


async def test_video_keeps_its_rate() -> None:
    clock = VirtualClock()
    track = TimedTrack(clock)
    playing = asyncio.create_task(pump_track(TestPatternVideoSource(32, 32, 30, seconds=10), track, clock))
    await clock.advance_until(playing.done)
    assert track.times == [pytest.approx(n / 30, abs=1e-5) for n in range(300)]


async def test_a_held_track_stays_published() -> None:
    track = NotingTrack()
    await pump_track(SilenceAudioSource(seconds=0.1), track, LateClock(), at_end=SourceEnd.HOLD)
    assert len(track.frames) == 5
    assert track.unpublished == 0


async def test_the_pump_ends_when_the_track_is_unpublished() -> None:
    source = ToneAudioSource()
    track = NotingTrack(closes_after=3)
    done = await Pump(source, track, LateClock()).run()
    assert done.frames == 3
    assert track.unpublished == 0, "it already is"


async def test_the_pump_ends_when_the_source_is_closed_while_it_waits() -> None:
    source, track = PushAudioSource(), NotingTrack()
    playing = asyncio.create_task(Pump(source, track, LateClock()).run())
    source.push_pcm(bytes(1_920))
    await asyncio.sleep(0)
    await source.aclose()
    done = await within(playing)
    assert done.frames <= 1


class Broken(AudioSourceBase):
    """Breaks after two frames."""

    def __init__(self, error: Exception) -> None:
        super().__init__(48_000, 1, 20)
        self._error = error
        self.closed = False

    async def read(self) -> AudioFrame | None:
        if self._position >= 2 * self.samples_per_frame:
            raise self._error
        return self._stamp(bytes(self.frame_bytes))

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("error", [InvalidInput("cannot be read"), MediaError("the camera is gone")])
async def test_a_broken_source_is_closed_and_its_error_is_seen(error: Exception) -> None:
    source = Broken(error)
    pump = Pump(source, NotingTrack(), LateClock())
    with pytest.raises(type(error)):
        await pump.run()
    assert source.closed
    assert pump.statistics().frames == 2


async def test_a_track_that_refuses_a_frame_is_seen() -> None:
    class Refusing(NotingTrack):
        async def write(self, frame: Frame) -> None:
            raise InvalidFrame("this track takes 16000 Hz")

    source = Broken(MediaError("not reached"))
    with pytest.raises(InvalidFrame):
        await Pump(source, Refusing(), LateClock()).run()
    assert source.closed


async def test_the_source_stays_open_if_asked() -> None:
    source = SilenceAudioSource()
    await Pump(source, NotingTrack(closes_after=1), LateClock(), close_source=False).run()
    track = NotingTrack(closes_after=3)
    await Pump(source, track, LateClock()).run()
    assert [frame.timestamp_us for frame in track.frames] == [0, 20_000, 40_000], "a new track starts at 0"


async def test_a_resync_moves_the_timestamps_with_the_sound() -> None:
    clock = LateClock([0.0, 0.0, 1.0])
    track = NotingTrack(clock)
    done = await pump_track(SilenceAudioSource(seconds=0.1), track, clock)
    assert [frame.timestamp_us for frame in track.frames] == [0, 20_000, 1_040_000, 1_060_000, 1_080_000]
    assert [round((at - 100.0) * 1e6) for at in track.times] == [0, 20_000, 1_040_000, 1_060_000, 1_080_000]
    assert (done.frames, done.late, done.resyncs) == (5, 1, 1)
    assert done.max_lateness_ms == pytest.approx(1_000)


async def test_what_is_pushed_after_a_pause_is_played_from_then_on() -> None:
    clock = VirtualClock()
    source, track = PushAudioSource(), TimedTrack(clock)
    playing = asyncio.create_task(pump_track(source, track, clock))
    source.push_pcm(bytes(2 * 1_920))
    await clock.advance(3.0)
    source.push_pcm(bytes(3 * 1_920))
    source.end()
    await clock.advance(1.0)
    await playing
    assert track.times == [0.0, 0.02, 3.0, 3.02, 3.04]
    assert [frame.timestamp_us for frame in track.frames] == [0, 20_000, 3_000_000, 3_020_000, 3_040_000]


async def test_skipping_leaves_out_what_is_overdue() -> None:
    clock = LateClock([0.0, 0.0, 0.3 + 1e-9])
    track = NotingTrack(clock)
    source = TestPatternVideoSource(32, 32, 10, seconds=1)
    done = await pump_track(source, track, clock, policy=LatePolicy.SKIP)
    assert done.skipped == 0, "three pictures behind is a burst of four: still caught up"

    clock = LateClock([0.0, 0.0, 0.55])
    track = NotingTrack(clock)
    source = TestPatternVideoSource(32, 32, 10, seconds=1)
    done = await pump_track(source, track, clock, policy=LatePolicy.SKIP)
    pictures = [frame for frame in track.frames if isinstance(frame, VideoFrame)]
    assert [read_counter(picture) for picture in pictures] == [0, 1, 7, 8, 9]
    assert [frame.timestamp_us for frame in pictures] == [0, 100_000, 700_000, 800_000, 900_000]
    assert (done.frames, done.skipped, done.resyncs) == (5, 5, 1)


async def test_skipping_past_the_end_is_the_end() -> None:
    track = NotingTrack()
    done = await pump_track(SilenceAudioSource(seconds=0.1), track, LateClock([0.0, 9.0]), policy=LatePolicy.SKIP)
    assert done.frames == 1
    assert track.unpublished == 1


async def test_a_slow_track_slows_the_stream_without_bursts() -> None:
    clock = LateClock()
    track = NotingTrack(clock, cost=0.05)
    done = await pump_track(SilenceAudioSource(seconds=1), track, clock)
    assert done.frames == 50
    assert done.resyncs > 0
    stamps = [frame.timestamp_us for frame in track.frames]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == pytest.approx((track.times[-1] - 100.0) * 1e6, abs=100_000), "timestamps follow the clock"


async def test_sound_and_picture_of_one_start_are_in_step() -> None:
    clock = VirtualClock()
    sound, picture = TimedTrack(clock), TimedTrack(clock)
    pumps = [
        Pump(SilenceAudioSource(seconds=1), sound, clock, start=0.5),
        Pump(TestPatternVideoSource(32, 32, 25, seconds=1), picture, clock, start=0.5),
    ]
    playing = asyncio.gather(*(pump.run() for pump in pumps))
    await clock.advance_until(playing.done)
    assert sound.times[0] == picture.times[0] == 0.5
    assert sound.times[::2] == picture.times


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_await_it_closes_its_source(turns: int) -> None:
    source = Broken(MediaError("not reached"))
    source.closed = False
    await cancel_at_await(Pump(source, NotingTrack(), VirtualClock()).run, turns)
    assert source.closed or turns == 0, "before its first turn nothing was begun"


async def test_cancelled_by_its_scope_it_closes_a_source_that_takes_its_time() -> None:
    closed = asyncio.Event()

    class Slow(SilenceAudioSource):
        async def aclose(self) -> None:
            await asyncio.sleep(0.01)
            closed.set()

    scope = TaskScope("test")
    await scope.open()
    scope.start(Pump(Slow(), NotingTrack(), VirtualClock()).run)
    await asyncio.sleep(0)
    await scope.aclose()
    assert closed.is_set()


async def test_500_pumps_end_together() -> None:
    clock = VirtualClock()
    tracks = [NotingTrack() for _ in range(500)]
    playing = asyncio.gather(*(pump_track(ToneAudioSource(seconds=0.2), track, clock) for track in tracks))
    await clock.advance(1.0)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(playing, 1)
    assert [len(track.frames) for track in tracks] == [10] * 500
