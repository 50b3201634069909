"""What cannot be a stream of frames is refused where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from utd_core.errors import InvalidInput
from utd_core.media import (
    AudioFormat,
    FrameStream,
    Pacer,
    Pump,
    PushAudioSource,
    PushVideoSource,
    SilenceAudioSource,
    TestPatternVideoSource,
    ToneAudioSource,
    VideoFormat,
    publish_options,
)
from utd_core.media.checks import check_path
from utd_core.model.permission import TrackSource

from .tools import LateClock, NotingTrack


@pytest.mark.parametrize("sample_rate", [0, -48_000, 22_050, 48_000.0, "48000", None])
@pytest.mark.parametrize("make", [AudioFormat, SilenceAudioSource, ToneAudioSource, PushAudioSource])
def test_sample_rate_must_be_one_that_frames_have(make: Any, sample_rate: Any) -> None:
    with pytest.raises(InvalidInput, match="sample_rate must be one of"):
        make(sample_rate=sample_rate)


@pytest.mark.parametrize("channels", [0, 3, -1, True, "1", None])
@pytest.mark.parametrize("make", [AudioFormat, SilenceAudioSource, PushAudioSource])
def test_channels_must_be_one_or_two(make: Any, channels: Any) -> None:
    with pytest.raises(InvalidInput, match="channels must be 1 or 2"):
        make(channels=channels)


@pytest.mark.parametrize("frame_ms", [0, -20, 1_001, 20.0, None])
def test_frame_length_must_be_in_range(frame_ms: Any) -> None:
    with pytest.raises(InvalidInput, match="20 is usual"):
        SilenceAudioSource(frame_ms=frame_ms)


def test_frame_length_must_be_whole_samples() -> None:
    assert AudioFormat(44_100).samples_in(20) == 882
    with pytest.raises(InvalidInput, match="no whole number of samples"):
        AudioFormat(44_100).samples_in(15)


@pytest.mark.parametrize("side", [0, -2, 321, 8_194, 320.0, "320", None])
@pytest.mark.parametrize("make", [VideoFormat, TestPatternVideoSource, PushVideoSource])
def test_video_sides_must_be_even_and_in_range(make: Any, side: Any) -> None:
    with pytest.raises(InvalidInput, match="width must be an even number"):
        make(side, 240)
    with pytest.raises(InvalidInput, match="height must be an even number"):
        make(320, side)


@pytest.mark.parametrize("framerate", [0, -30, 241, float("nan"), float("inf"), True, "30", None])
@pytest.mark.parametrize("make", [VideoFormat, TestPatternVideoSource, PushVideoSource])
def test_framerate_must_be_in_range(make: Any, framerate: Any) -> None:
    with pytest.raises(InvalidInput, match="framerate must be over 0"):
        make(320, 240, framerate)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", True])
@pytest.mark.parametrize("make", [SilenceAudioSource, ToneAudioSource, TestPatternVideoSource])
def test_seconds_must_be_a_length(make: Any, seconds: Any) -> None:
    with pytest.raises(InvalidInput, match="seconds must be 0 or more"):
        make(seconds=seconds)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, None])
@pytest.mark.parametrize("make", [PushAudioSource, PushVideoSource])
def test_capacity_must_be_a_number_of_frames(make: Any, capacity: Any) -> None:
    with pytest.raises(InvalidInput, match="capacity must be a whole number"):
        make(capacity=capacity)


@pytest.mark.parametrize(
    "make",
    [
        lambda choice: PushAudioSource(overflow=choice),
        lambda choice: FrameStream(overflow=choice),
        lambda choice: Pacer(LateClock(), 0.02, policy=choice),
        lambda choice: Pump(SilenceAudioSource(), NotingTrack(), LateClock(), at_end=choice),
    ],
)
def test_a_choice_must_be_one_of_those_there_are(make: Any) -> None:
    with pytest.raises(InvalidInput, match=r"must be one of .*, got 'sometimes'"):
        make("sometimes")


@pytest.mark.parametrize("path", ["", "a\0b", b"voice.wav", 7, None])
def test_path_must_be_a_file_name(path: Any) -> None:
    with pytest.raises(InvalidInput, match="path must be the name of a file"):
        check_path(path)


def test_a_track_is_published_with_what_its_source_gives() -> None:
    stereo = publish_options(ToneAudioSource(sample_rate=24_000, channels=2), TrackSource.MICROPHONE, name="mic")
    assert (stereo.source, stereo.name) == (TrackSource.MICROPHONE, "mic")
    assert (stereo.sample_rate, stereo.channels) == (24_000, 2)
    picture = publish_options(TestPatternVideoSource(320, 180, 15), TrackSource.CAMERA)
    assert (picture.width, picture.height, picture.framerate) == (320, 180, 15)


def test_formats_read_as_words() -> None:
    assert str(AudioFormat()) == "48000 Hz mono"
    assert str(AudioFormat(16_000, 2)) == "16000 Hz stereo"
    assert str(VideoFormat(320, 180, 29.97)) == "320x180 at 29.97 frames/s"
