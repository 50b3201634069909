"""Recordings of one origin are in step, whatever the timestamps of their tracks were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from utd_core.errors import Closed, InvalidInput
from utd_core.media import (
    AudioFrame,
    Frame,
    FrameCollector,
    LevelMeter,
    TestPatternVideoSource,
    VideoFrame,
    WavSink,
    record,
)

from .tools import LateClock, audio_frames, noise, off_loop, read_wav


async def arriving(clock: LateClock, *plan: tuple[float, list[Any]]) -> AsyncIterator[Frame]:
    """Frames that begin to arrive at these times (seconds from now), one for each 20 ms."""
    begin = clock.time
    for at, frames in plan:
        clock.time = begin + at
        for frame in frames:
            yield frame
            clock.time += 0.02


async def test_every_sink_gets_every_frame_in_order(tmp_path: Path) -> None:
    clock, stream = LateClock(), noise(48_000)
    collector, meter = FrameCollector(), LevelMeter()
    async with await WavSink.open(tmp_path / "out.wav") as wav:
        done = await record(arriving(clock, (0.0, audio_frames(stream))), wav, collector, meter, clock=clock)
    assert await off_loop(read_wav, tmp_path / "out.wav") == stream == collector.pcm
    assert done.frames == collector.taken == meter.frames == 50
    assert (done.gap_ms, done.restarts, done.first_us, done.end_us) == (0.0, 0, 0, 1_000_000)


async def test_without_an_origin_the_first_frame_is_the_beginning() -> None:
    clock, collector = LateClock(), FrameCollector()
    frames = audio_frames(noise(9_600), start_us=77_000_000)
    await record(arriving(clock, (3.0, frames)), collector, clock=clock)
    assert [frame.timestamp_us for frame in collector.frames] == [20_000 * n for n in range(10)]
    assert [frame.data for frame in collector.audio] == [frame.data for frame in frames]


async def test_with_an_origin_a_late_track_has_silence_before_it(tmp_path: Path) -> None:
    clock, stream = LateClock(), noise(9_600)
    async with await WavSink.open(tmp_path / "out.wav") as wav:
        done = await record(
            arriving(clock, (1.5, audio_frames(stream, start_us=9_000))), wav, clock=clock, origin=clock.time
        )
    assert await off_loop(read_wav, tmp_path / "out.wav") == bytes(144_000) + stream
    assert done.first_us == 1_500_000


async def test_network_jitter_does_not_show() -> None:
    clock, collector = LateClock(), FrameCollector()
    frames = audio_frames(noise(960 * 20))

    async def jittery() -> AsyncIterator[Frame]:
        for number, frame in enumerate(frames):
            clock.time += 0.0 if number % 4 else 0.08
            yield frame

    await record(jittery(), collector, clock=clock)
    assert [frame.timestamp_us for frame in collector.frames] == [20_000 * n for n in range(20)]


@pytest.mark.parametrize("pause", [0.1, 4.0, 300.0])
async def test_a_pause_is_as_long_as_it_was(tmp_path: Path, pause: float) -> None:
    """Muted: nothing is sent, timestamps go on."""
    clock, stream = LateClock(), noise(9_600)
    later = audio_frames(stream, start_us=200_000 + round(pause * 1e6))
    async with await WavSink.open(tmp_path / "out.wav") as wav:
        done = await record(arriving(clock, (0.0, audio_frames(stream)), (0.2 + pause, later)), wav, clock=clock)
    heard = await off_loop(read_wav, tmp_path / "out.wav")
    assert heard == stream + bytes(round(pause * 96_000)) + stream
    assert done.gap_ms == pytest.approx(pause * 1_000)
    assert done.restarts == 0


@pytest.mark.parametrize("restart_us", [0, 700_000_000_000])
async def test_timestamps_that_start_anew_are_placed_by_their_arrival(tmp_path: Path, restart_us: int) -> None:
    """Published again: the new track's timestamps have nothing to do with the old one's."""
    clock, stream = LateClock(), noise(48_000)
    again = audio_frames(stream, start_us=restart_us)
    async with await WavSink.open(tmp_path / "out.wav") as wav:
        done = await record(arriving(clock, (0.0, audio_frames(stream)), (1.5, again)), wav, clock=clock)
    assert done.restarts == 1
    heard = await off_loop(read_wav, tmp_path / "out.wav")
    assert heard == stream + bytes(48_000) + stream


async def test_frames_faster_than_time_are_no_restart() -> None:
    clock, collector = LateClock(), FrameCollector()

    async def at_once() -> AsyncIterator[Frame]:
        for frame in audio_frames(noise(48_000 * 10)):
            yield frame

    done = await record(at_once(), collector, clock=clock)
    assert (done.restarts, done.end_us) == (0, 10_000_000)


async def test_video_is_recorded_with_its_own_time() -> None:
    clock, collector = LateClock(), FrameCollector()
    pictures = [frame async for frame in TestPatternVideoSource(32, 32, 50, seconds=1)]
    done = await record(arriving(clock, (0.5, list(pictures))), collector, clock=clock, origin=clock.time)
    assert [frame.timestamp_us for frame in collector.frames] == [500_000 + 20_000 * n for n in range(50)]
    assert all(isinstance(frame, VideoFrame) for frame in collector.frames)
    assert (done.frames, done.gap_ms) == (50, 0.0)


async def test_a_closed_sink_ends_the_recording_with_its_error() -> None:
    clock, collector = LateClock(), FrameCollector()
    await collector.aclose()
    with pytest.raises(Closed):
        await record(arriving(clock, (0.0, [AudioFrame(bytes(1_920), 48_000)])), collector, clock=clock)


async def test_the_sinks_stay_open_for_the_next_recording() -> None:
    clock, collector = LateClock(), FrameCollector()
    for _ in range(2):
        await record(arriving(clock, (0.0, audio_frames(noise(9_600)))), collector, clock=clock)
    assert collector.taken == 20


async def test_a_recording_needs_a_sink() -> None:
    with pytest.raises(InvalidInput, match="at least one sink"):
        await record(arriving(LateClock()), clock=LateClock())
