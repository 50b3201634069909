"""A frame checks its own shape, so a wrong one fails where it is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import ErrorCode, InvalidFrame
from utd_core.media import AudioFrame, PixelFormat, VideoFrame
from utd_core.media.frames import SAMPLE_RATES, frame_size

MS_20 = bytes(1_920)
QVGA = bytes(320 * 240 * 3 // 2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sample_rate": 22_050}, "resample first"),
        ({"sample_rate": 0}, "resample first"),
        ({"sample_rate": 48_000.0}, "resample first"),
        ({"sample_rate": [48_000]}, "resample first"),
        ({"sample_rate": None}, "resample first"),
        ({"channels": 0}, "mix down first"),
        ({"channels": 3}, "mix down first"),
        ({"channels": True}, "mix down first"),
        ({"channels": "2"}, "mix down first"),
        ({"data": b""}, "whole samples"),
        ({"data": bytes(1_921)}, "whole samples"),
        ({"data": bytes(1_922), "channels": 2}, "whole samples"),
        ({"data": bytearray(1_920)}, "must be bytes"),
        ({"data": [0] * 960}, "must be bytes"),
        ({"data": None}, "must be bytes"),
        ({"data": bytes(96_002)}, "split it"),
        ({"timestamp_us": -1}, "microseconds"),
        ({"timestamp_us": 0.02}, "microseconds"),
    ],
)
def test_bad_audio_frame_is_one_error_that_says_what_to_do(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidFrame, match=says) as caught:
        AudioFrame(**{"data": MS_20, "sample_rate": 48_000, **wrong})
    assert caught.value.code == ErrorCode.INVALID_FRAME
    assert caught.value.status_code == 422


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"width": 0}, "1 to 8192"),
        ({"width": -320}, "1 to 8192"),
        ({"height": 8_193}, "1 to 8192"),
        ({"width": "320"}, "1 to 8192"),
        ({"height": 240.0}, "1 to 8192"),
        ({"width": 319}, "even sides"),
        ({"height": 239}, "even sides"),
        ({"format": "i420"}, "PixelFormat.I420"),
        ({"format": None}, "PixelFormat.I420"),
        ({"data": QVGA[:-1]}, "remove padding"),
        ({"data": QVGA + b"\0"}, "remove padding"),
        ({"format": PixelFormat.RGBA}, "remove padding"),
        ({"data": memoryview(QVGA)}, "must be bytes"),
        ({"timestamp_us": -1}, "microseconds"),
    ],
)
def test_bad_video_frame_is_one_error_that_says_what_to_do(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidFrame, match=says) as caught:
        VideoFrame(**{"data": QVGA, "width": 320, "height": 240, **wrong})
    assert caught.value.code == ErrorCode.INVALID_FRAME


@given(st.sampled_from(sorted(SAMPLE_RATES)), st.sampled_from([1, 2]), st.integers(1, 1_000), st.integers(0, 10**12))
def test_audio_frame_knows_its_length(rate: int, channels: int, milliseconds: int, at: int) -> None:
    samples = rate * milliseconds // 1_000
    frame = AudioFrame(bytes(2 * channels * samples), rate, channels, at)
    assert frame.samples_per_channel == samples
    assert abs(frame.duration_us - milliseconds * 1_000) <= 1_000_000 / rate


def test_planes_are_views_of_the_data() -> None:
    data = bytes([1]) * 16 + bytes([2]) * 4 + bytes([3]) * 4
    luma, blue, red = VideoFrame(data, 4, 4).planes
    assert (bytes(luma), bytes(blue), bytes(red)) == (data[:16], data[16:20], data[20:])
    frame = VideoFrame(bytes(range(36)), 3, 3, PixelFormat.RGBA)
    assert [bytes(plane) for plane in frame.planes] == [frame.data]
    assert frame_size(3, 3, PixelFormat.RGBA) == 36
