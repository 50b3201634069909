"""The test pattern carries its frame number, whatever happens to the picture on its way."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.errors import Closed, InvalidInput
from utd_core.media import PixelFormat, TestPatternVideoSource, VideoFrame, VideoSource, read_counter, to_rgba

even_sides = st.integers(16, 200).map(lambda half: 2 * half)


@settings(max_examples=60)
@given(width=even_sides, height=even_sides, number=st.integers(0, 200_000))
def test_every_size_carries_every_number(width: int, height: int, number: int) -> None:
    frame = VideoFrame(TestPatternVideoSource(width, height)._render(number), width, height)
    assert read_counter(frame) == number % 65_536


async def test_frames_are_numbered_stamped_and_different() -> None:
    source = TestPatternVideoSource(320, 240, 29.97)
    assert isinstance(source, VideoSource)
    frames = [frame for _ in range(100) if (frame := await source.read())]
    assert [read_counter(frame) for frame in frames] == list(range(100))
    assert [frame.timestamp_us for frame in frames] == [round(n * 1e6 / 29.97) for n in range(100)]
    assert {(frame.width, frame.height, frame.format) for frame in frames} == {(320, 240, PixelFormat.I420)}
    assert len({frame.data[frame.width * frame.height // 2 :] for frame in frames}) > 70, "the bars move"


async def test_the_bars_are_eight_colours() -> None:
    frame = await TestPatternVideoSource(640, 480).read()
    assert frame is not None
    luma, blue, red = frame.planes
    columns = [640 * (2 * bar + 1) // 16 for bar in range(8)]
    colours = [(luma[479 * 640 + x], blue[239 * 320 + x // 2], red[239 * 320 + x // 2]) for x in columns]
    assert colours[0] == (180, 128, 128)
    assert colours[7] == (16, 128, 128)
    assert len(set(colours)) == 8


async def test_the_number_survives_rgba() -> None:
    source = TestPatternVideoSource(64, 48)
    for number in range(20):
        frame = await source.read()
        assert frame is not None
        assert read_counter(to_rgba(frame)) == number


def test_other_pictures_have_no_number() -> None:
    for value in (0, 16, 128, 235, 255):
        assert read_counter(VideoFrame(bytes([value]) * (320 * 240 * 3 // 2), 320, 240)) is None
    assert read_counter(VideoFrame(bytes(24), 4, 4)) is None
    gradient = bytes(x % 256 for x in range(320)) * 240 + bytes([128]) * (320 * 240 // 2)
    assert read_counter(VideoFrame(gradient, 320, 240)) is None


async def test_it_ends_after_its_seconds() -> None:
    source = TestPatternVideoSource(64, 64, 25, seconds=2)
    assert len([frame async for frame in source]) == 50
    assert await source.read() is None
    await source.aclose()
    with pytest.raises(Closed):
        await source.read()


@pytest.mark.parametrize(("width", "height"), [(30, 64), (64, 30), (2, 2)])
def test_it_needs_room_for_its_number(width: int, height: int) -> None:
    with pytest.raises(InvalidInput, match="32 pixels or more"):
        TestPatternVideoSource(width, height)


@pytest.mark.alone
async def test_a_vga_picture_takes_far_less_than_its_time() -> None:
    source = TestPatternVideoSource(640, 480)
    begin = perf_counter()
    for _ in range(100):
        await source.read()
    assert perf_counter() - begin < 0.5, "100 pictures; 3.3 s of video"
