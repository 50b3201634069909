"""Shapes of frames change, what they show and sound like does not."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import ErrorCode, InvalidFrame, UTDStreamException
from utd_core.media import (
    AudioFrame,
    PixelFormat,
    TestPatternVideoSource,
    VideoFrame,
    to_i420,
    to_mono,
    to_rgba,
    to_stereo,
)
from utd_core.media.pcm import unpack

from .tools import noise


@given(st.integers(1, 2_000), st.integers(0, 10**9))
def test_mono_to_stereo_and_back_is_the_same(samples: int, at_us: int) -> None:
    mono = AudioFrame(noise(samples), 48_000, 1, at_us)
    stereo = to_stereo(mono)
    assert (stereo.channels, stereo.samples_per_channel, stereo.timestamp_us) == (2, samples, at_us)
    assert unpack(stereo.data)[0::2] == unpack(stereo.data)[1::2] == unpack(mono.data)
    assert to_mono(stereo) == mono
    assert to_mono(mono) is mono
    assert to_stereo(stereo) is stereo


def test_mono_is_the_mean_of_both_channels() -> None:
    pairs = ((1, 2), (-1, -2), (32_767, 32_767), (-32_768, -32_768), (32_767, -32_768), (100, 300))
    data = b"".join(sample.to_bytes(2, "little", signed=True) for pair in pairs for sample in pair)
    assert list(unpack(to_mono(AudioFrame(data, 48_000, 2)).data)) == [1, -2, 32_767, -32_768, -1, 200]


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((128, 128, 128), (126, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 255, 0), (145, 54, 34)),
        ((0, 0, 255), (41, 240, 110)),
        ((191, 191, 0), (162, 44, 142)),
    ],
)
def test_colours_are_those_of_bt_601(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    picture = to_i420(VideoFrame(bytes([*rgb, 255]) * 64, 8, 8, PixelFormat.RGBA, 77))
    for plane, value in zip(picture.planes, yuv, strict=True):
        assert set(plane) <= {value - 1, value, value + 1}
    assert picture.timestamp_us == 77
    back = to_rgba(picture)
    assert back.format is PixelFormat.RGBA
    for pixel in zip(*[iter(back.data)] * 4, strict=True):
        assert pixel[3] == 255
        assert all(abs(a - b) <= 3 for a, b in zip(pixel, rgb, strict=False))


async def test_a_picture_survives_the_round_trip() -> None:
    frame = await TestPatternVideoSource(128, 96).read()
    assert frame is not None
    back = to_i420(to_rgba(frame))
    errors = [abs(a - b) for a, b in zip(frame.data, back.data, strict=True)]
    assert max(errors) <= 2
    assert (back.width, back.height, back.timestamp_us) == (frame.width, frame.height, frame.timestamp_us)


def test_any_picture_can_be_shown() -> None:
    """Values that no camera makes are clipped, not wrapped."""
    wild = random.Random(1).randbytes(64 * 48 * 3 // 2)
    assert len(to_rgba(VideoFrame(wild, 64, 48)).data) == 64 * 48 * 4
    black_and_white = VideoFrame(bytes([0] * 4 + [255] * 2), 2, 2)
    assert to_rgba(black_and_white).data[3::4] == b"\xff" * 4


def test_what_is_already_there_is_returned_as_it_is() -> None:
    i420, rgba = VideoFrame(bytes(24), 4, 4), VideoFrame(bytes(64), 4, 4, PixelFormat.RGBA)
    assert to_i420(i420) is i420
    assert to_rgba(rgba) is rgba


def test_odd_sides_have_no_i420() -> None:
    with pytest.raises(InvalidFrame, match="crop one row or column"):
        to_i420(VideoFrame(bytes(36), 3, 3, PixelFormat.RGBA))


def test_without_numpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    for convert, frame in (
        (to_rgba, VideoFrame(bytes(24), 4, 4)),
        (to_i420, VideoFrame(bytes(64), 4, 4, PixelFormat.RGBA)),
    ):
        with pytest.raises(UTDStreamException, match=r"utd-core\[av\]") as caught:
            convert(frame)
        assert caught.value.code == ErrorCode.MISSING_EXTRA
    sound = AudioFrame(bytes(1_920), 48_000)
    assert to_mono(to_stereo(sound)) == sound, "sound needs none"
