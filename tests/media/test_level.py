"""Levels are those of the definition; the meter rises at once, falls slowly, and does not flicker."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import Closed, InvalidFrame, InvalidInput
from utd_core.media import (
    AudioFrame,
    FileAudioSource,
    Level,
    LevelMeter,
    SilenceAudioSource,
    ToneAudioSource,
    VideoFrame,
    measure,
)

from .tools import VOICE, noise


def frame_of(samples: list[int], channels: int = 1) -> AudioFrame:
    return AudioFrame(array("h", samples).tobytes(), 48_000, channels)


SILENCE = frame_of([0] * 960)


def loud(dbfs: float) -> AudioFrame:
    value = round(32_768 * 10 ** (dbfs / 20))
    return frame_of([value, -value] * 480)


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=2_000))
def test_levels_are_those_of_the_definition(samples: list[int]) -> None:
    level = measure(frame_of(samples))
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    peak = max(abs(sample) for sample in samples)
    assert level.rms == pytest.approx(max(-120.0, 20 * math.log10(rms / 32_768)) if rms else -120.0)
    assert level.peak == pytest.approx(20 * math.log10(peak / 32_768) if peak else -120.0)
    assert -120.0 <= level.rms <= level.peak + 1e-9
    assert level.peak <= 0.0


@pytest.mark.parametrize(
    ("samples", "rms", "peak"),
    [
        ([0] * 960, -120.0, -120.0),
        ([-32_768] * 960, 0.0, 0.0),
        ([32_767, -32_767] * 480, 0.0, 0.0),
        ([1, -1] * 480, -90.31, -90.31),
        ([16_384, -16_384] * 480, -6.02, -6.02),
        ([32_767] + [0] * 959, -29.82, 0.0),
    ],
)
def test_known_levels(samples: list[int], rms: float, peak: float) -> None:
    level = measure(frame_of(samples))
    assert level.rms == pytest.approx(rms, abs=0.01)
    assert level.peak == pytest.approx(peak, abs=0.01)


async def test_a_full_scale_sine_has_an_rms_of_minus_three() -> None:
    frame = await ToneAudioSource(1_000, 0).read()
    assert frame is not None
    assert measure(frame).rms == pytest.approx(-3.01, abs=0.01)


def test_the_rms_rises_at_once_and_falls_slowly() -> None:
    meter = LevelMeter(fall_db_per_s=50)
    assert meter.level == Level(-120.0, -120.0)
    assert meter.add(loud(-10)).rms == pytest.approx(-10, abs=0.01)
    levels = [meter.add(SILENCE).rms for _ in range(50)]
    assert levels[0] == pytest.approx(-11, abs=0.01)
    assert levels[-1] == pytest.approx(-60, abs=0.01)
    assert meter.rest(10_000).rms == -120.0
    assert meter.frames == 51


def test_the_peak_is_held_and_then_falls() -> None:
    meter = LevelMeter(peak_hold_ms=100)
    meter.add(loud(-6))
    assert [round(meter.add(loud(-30)).peak) for _ in range(7)] == [-6, -6, -6, -6, -6, -30, -30]
    assert round(meter.add(loud(-3)).peak) == -3, "a higher one is shown at once"


def test_speaking_has_two_thresholds_and_patience() -> None:
    meter = LevelMeter(speaking_above=-40, silent_below=-50, silent_after_ms=100)
    heard = [(-45, False), (-39, True), (-45, True), (-45, True), (-60, True), (-60, True)]
    heard += [(-45, True), (-60, True), (-60, True), (-60, True), (-60, True), (-60, True), (-60, False)]
    heard += [(-45, False), (-40, True)]
    for level, speaking in heard:
        meter.add(loud(level + 0.001))
        assert meter.is_speaking is speaking, level


def test_speaking_ends_without_frames_too() -> None:
    meter = LevelMeter(silent_after_ms=200)
    meter.add(loud(-20))
    meter.rest(150)
    assert meter.is_speaking
    meter.rest(100)
    assert not meter.is_speaking


async def test_a_voice_is_one_speech_and_its_pauses_do_not_flicker() -> None:
    meter, changes, before = LevelMeter(), [], False
    async with await FileAudioSource.open(VOICE) as source:
        async for frame in source:
            await meter.write(frame)
            if meter.is_speaking != before:
                before = meter.is_speaking
                changes.append(before)
    assert changes == [True]
    async for frame in SilenceAudioSource(seconds=1):
        await meter.write(frame)
    assert meter.is_speaking is False


async def test_stereo_is_measured_over_both_channels() -> None:
    quiet, noisy = [0] * 480, [16_384] * 480
    both = [sample for pair in zip(quiet, noisy, strict=True) for sample in pair]
    level = measure(frame_of(both, 2))
    assert level.peak == pytest.approx(-6.02, abs=0.01)
    assert level.rms == pytest.approx(-9.03, abs=0.01)


async def test_it_takes_audio_until_it_is_closed() -> None:
    meter = LevelMeter()
    with pytest.raises(InvalidFrame, match="takes audio frames"):
        await meter.write(VideoFrame(bytes(24), 4, 4))
    await meter.write(AudioFrame(noise(960), 48_000))
    await meter.aclose()
    await meter.aclose()
    with pytest.raises(Closed):
        await meter.write(SILENCE)
    assert meter.level.rms > -120


@pytest.mark.parametrize(
    "options",
    [
        {"speaking_above": -60, "silent_below": -50},
        {"speaking_above": 3},
        {"silent_below": -200},
        {"fall_db_per_s": 0},
        {"peak_hold_ms": -1},
        {"silent_after_ms": float("nan")},
    ],
)
def test_senseless_thresholds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        LevelMeter(**options)
