"""Test signals are recognised, also when a codec has had its way with them."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace

import pytest

from utd_core.media.frames import AudioFrame, PixelFormat, VideoFrame
from utd_core.testing.contract.signals import (
    audio,
    brightness,
    film,
    flat,
    loud_seconds,
    melody,
    pitch_share,
    seconds_of,
    storyboard,
    tone,
    tune,
    video,
)


def damaged(frames: tuple[AudioFrame, ...]) -> list[AudioFrame]:
    """Every eighth frame lost, softer, with noise."""
    chance = random.Random(2)
    return [
        replace(frame, data=array("h", [x // 3 + chance.randint(-300, 300) for x in array("h", frame.data)]).tobytes())
        for index, frame in enumerate(frames)
        if index % 8
    ]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_has_its_pitch_and_no_other(rate: int) -> None:
    frames = tone(440.0, seconds=0.3, sample_rate=rate)
    assert {(frame.sample_rate, frame.duration_us) for frame in frames} == {(rate, 20_000)}
    assert pitch_share(frames, 440.0) > 0.99
    assert pitch_share(frames, 1_000.0) < 0.01


def test_a_damaged_tone_is_still_recognised() -> None:
    frames = damaged(tone(440.0, seconds=0.8))
    assert pitch_share(frames, 440.0) > 0.6
    assert loud_seconds(frames) == pytest.approx(0.7)


def test_silence_has_no_pitch() -> None:
    silence = [AudioFrame(bytes(1_920), 48_000)] * 20
    assert pitch_share(silence, 440.0) == 0
    assert loud_seconds(silence) == 0
    assert pitch_share([], 440.0) == 0
    assert melody(silence, (440.0,)) == []


def test_both_channels_are_in_the_mix() -> None:
    both = tone(500.0, 1_100.0, seconds=0.2)
    assert both[0].channels == 2
    assert pitch_share(both, 500.0) == pytest.approx(0.5, abs=0.05)
    assert pitch_share(both, 1_100.0) == pytest.approx(0.5, abs=0.05)


def test_a_melody_is_heard_in_its_order() -> None:
    notes = (400.0, 1_000.0, 2_500.0)
    sound = tune(notes, seconds_each=0.3)
    assert melody(sound, notes) == list(notes)
    assert melody(sound[::-1], notes) == list(reversed(notes))
    assert [frame.timestamp_us for frame in sound] == [index * 20_000 for index in range(45)]
    assert seconds_of(sound) == pytest.approx(0.9)


def test_a_film_is_seen_in_its_order() -> None:
    pictures = film([50, 120, 200], seconds_each=0.1)
    grainy = [replace(picture, data=bytes(min(255, value + 9) for value in picture.data)) for picture in pictures]
    assert storyboard(grainy, [50, 120, 200]) == [50, 120, 200]
    assert storyboard(grainy[::-1], [50, 120, 200]) == [200, 120, 50]


def test_brightness_is_the_same_in_both_formats() -> None:
    full = round((120 - 16) * 255 / 219)
    rgba = VideoFrame(bytes([full, full, full, 255]) * 64, 8, 8, PixelFormat.RGBA)
    assert brightness(flat(120)) == 120
    assert brightness(rgba) == pytest.approx(120, abs=1)


def test_a_track_of_the_other_kind_is_noticed() -> None:
    assert audio(tone(440.0, seconds=0.02)) == list(tone(440.0, seconds=0.02))
    with pytest.raises(AssertionError, match="VideoFrame"):
        audio([flat(1)])
    with pytest.raises(AssertionError, match="AudioFrame"):
        video(tone(440.0, seconds=0.02))
