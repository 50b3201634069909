"""Tones and silence: right length, right pitch, right loudness, no clicks between frames."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import Closed, InvalidInput
from utd_core.media import AudioFrame, AudioSource, SilenceAudioSource, ToneAudioSource, measure
from utd_core.media.pcm import unpack
from utd_core.media.sources.base import frames_in


async def take(source: AudioSource, count: int) -> list[AudioFrame]:
    frames = [await source.read() for _ in range(count)]
    return [frame for frame in frames if frame is not None]


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frame_ms", [10, 20])
async def test_frames_have_the_asked_shape_and_go_on_without_a_gap(
    sample_rate: int, channels: int, frame_ms: int
) -> None:
    for make in (SilenceAudioSource, ToneAudioSource):
        source = make(sample_rate=sample_rate, channels=channels, frame_ms=frame_ms)
        assert isinstance(source, AudioSource)
        for number, frame in enumerate(await take(source, 7)):
            assert (frame.sample_rate, frame.channels) == (sample_rate, channels)
            assert frame.duration_us == frame_ms * 1_000
            assert frame.timestamp_us == number * frame_ms * 1_000


async def test_timestamps_do_not_drift_where_a_frame_is_no_whole_microsecond() -> None:
    source = SilenceAudioSource(sample_rate=44_100, frame_ms=30)
    frames = await take(source, 1_000)
    assert frames[-1].timestamp_us == 999 * 30_000


@pytest.mark.parametrize(("seconds", "count"), [(0, 0), (0.001, 1), (0.02, 1), (0.1, 5), (0.101, 6), (4, 200)])
async def test_a_source_ends_after_its_seconds_and_stays_ended(seconds: float, count: int) -> None:
    for source in (SilenceAudioSource(seconds=seconds), ToneAudioSource(seconds=seconds)):
        assert len([frame async for frame in source]) == count
        assert await source.read() is None


@given(st.integers(0, 100_000), st.sampled_from([10, 20, 40]))
def test_whole_frames_are_never_rounded_up_to_one_more(frames: int, frame_ms: int) -> None:
    assert frames_in(frames * frame_ms / 1_000, 1_000 / frame_ms) == frames


async def test_silence_is_digital_silence() -> None:
    (frame,) = await take(SilenceAudioSource(), 1)
    assert not any(frame.data)


@pytest.mark.parametrize("frequency", [50, 440, 440.5, 997.3, 1_000, 12_345.678, 23_999])
async def test_a_tone_has_its_pitch_and_no_clicks(frequency: float) -> None:
    frames = await take(ToneAudioSource(frequency, -6, seconds=1), 50)
    samples = unpack(b"".join(frame.data for frame in frames))
    amplitude = 32_767 * 10 ** (-6 / 20)
    expected = (amplitude * math.sin(math.tau * frequency * n / 48_000) for n in range(len(samples)))
    # One part in a million of a frame is what the limited set of phases may cost, 50 frames on.
    worst = max(abs(sample - wanted) for sample, wanted in zip(samples, expected, strict=True))
    assert worst < 1 + amplitude * math.tau * 50 * 1e-6


async def test_a_tones_level_is_its_peak() -> None:
    for level in (0.0, -3.0, -20.0, -60.0):
        (frame,) = await take(ToneAudioSource(1_000, level), 1)
        heard = measure(frame)
        assert heard.peak == pytest.approx(level, abs=0.2)
        assert heard.rms == pytest.approx(level - 3.01, abs=0.2)


async def test_a_stereo_tone_is_the_same_on_both_channels() -> None:
    (stereo,) = await take(ToneAudioSource(channels=2), 1)
    (mono,) = await take(ToneAudioSource(), 1)
    assert unpack(stereo.data)[0::2] == unpack(stereo.data)[1::2] == unpack(mono.data)


async def test_frames_join_smoothly_over_many_seconds() -> None:
    frames = await take(ToneAudioSource(123.456, -1), 500)
    steepest = 32_767 * math.tau * 123.456 / 48_000 + 1
    for before, after in pairwise(frames):
        assert abs(unpack(before.data)[-1] - unpack(after.data)[0]) <= steepest


@pytest.mark.parametrize("frequency", [0, -440, 24_000, 1e9, float("nan"), "440", None])
def test_a_tone_must_fit_its_rate(frequency: Any) -> None:
    with pytest.raises(InvalidInput, match="under 24000 Hz"):
        ToneAudioSource(frequency)


@pytest.mark.parametrize("level", [1, 0.1, float("nan"), "-20", None])
def test_a_tone_cannot_be_louder_than_full_scale(level: Any) -> None:
    with pytest.raises(InvalidInput, match="at most 0 dBFS"):
        ToneAudioSource(440, level)


async def test_a_closed_source_says_so() -> None:
    async with ToneAudioSource() as tone, SilenceAudioSource() as silence:
        await tone.read()
    for source in (tone, silence):
        await source.aclose()
        with pytest.raises(Closed, match="make a new one"):
            await source.read()
