"""Pushed media: exact frames from any lengths, losses by policy and counted, one clear end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.concurrency import Overflow
from utd_core.errors import Closed, InvalidFrame
from utd_core.media import AudioFrame, PixelFormat, PushAudioSource, PushVideoSource, VideoFrame

from .tools import noise

FRAME = 1_920


def picture(value: int, width: int = 32, height: int = 32) -> VideoFrame:
    return VideoFrame(bytes([value]) * (width * height * 3 // 2), width, height)


@given(st.lists(st.integers(0, 5_000), max_size=20))
def test_pushed_lengths_make_no_difference(lengths: list[int]) -> None:
    stream = noise(sum(lengths) // 2 + 1)[: sum(lengths)]

    async def play() -> list[AudioFrame]:
        source = PushAudioSource(capacity=1_000)
        at = 0
        for length in lengths:
            assert source.push_pcm(stream[at : at + length]) == 0
            at += length
        source.end()
        return [frame async for frame in source]

    frames = asyncio.run(play())
    heard = b"".join(frame.data for frame in frames)
    assert heard[: len(stream)] == stream
    assert not any(heard[len(stream) :])
    assert len(frames) == -(-len(stream) // FRAME)
    assert [frame.timestamp_us for frame in frames] == [20_000 * n for n in range(len(frames))]


async def test_frames_and_pcm_can_be_mixed() -> None:
    source = PushAudioSource()
    source.push(AudioFrame(b"a\0" * 480, 48_000, timestamp_us=77))
    source.push_pcm(bytearray(b"b\0" * 480))
    source.push(AudioFrame(b"c\0" * 1_440, 48_000))
    source.push_pcm(memoryview(b"d\0" * 480))
    source.end()
    frames = [frame async for frame in source]
    assert [frame.data for frame in frames] == [
        b"a\0" * 480 + b"b\0" * 480,
        b"c\0" * 960,
        b"c\0" * 480 + b"d\0" * 480,
    ]
    assert [frame.timestamp_us for frame in frames] == [0, 20_000, 40_000]


@pytest.mark.parametrize(("overflow", "kept"), [(Overflow.DROP_OLDEST, [2, 3, 4]), (Overflow.DROP_NEWEST, [0, 1, 2])])
async def test_a_full_queue_loses_frames_by_its_policy_and_counts_them(overflow: Overflow, kept: list[int]) -> None:
    audio = PushAudioSource(capacity=3, overflow=overflow)
    assert audio.push_pcm(b"".join(bytes([n, 0]) * 960 for n in range(5))) == 2
    video = PushVideoSource(32, 32, capacity=3, overflow=overflow)
    assert sum(video.push(picture(n)) for n in range(5)) == 2
    for source in (audio, video):
        assert source.statistics().dropped == 2
        assert source.statistics().waiting == 3
        source.end()
    assert [frame.data[0] async for frame in audio] == kept
    assert [frame.data[0] async for frame in video] == kept


async def test_the_closing_policy_ends_the_stream_with_an_error() -> None:
    source = PushAudioSource(capacity=2, overflow=Overflow.CLOSE)
    assert source.push_pcm(bytes(2 * FRAME)) == 0
    assert source.push_pcm(bytes(FRAME)) == 1
    assert await source.read() is not None
    assert await source.read() is not None
    with pytest.raises(Closed, match="fell 2 items behind"):
        await source.read()
    with pytest.raises(Closed, match="has ended"):
        source.push_pcm(bytes(FRAME))


async def test_drain_lets_a_fast_producer_keep_everything() -> None:
    source = PushAudioSource(capacity=10)
    stream = noise(960 * 100)

    async def produce() -> None:
        for at in range(0, len(stream), 3 * FRAME):
            assert source.push_pcm(stream[at : at + 3 * FRAME]) == 0
            await source.drain()
        source.end()

    producer = asyncio.create_task(produce())
    heard = b"".join([frame.data async for frame in source])
    await producer
    assert heard == stream
    assert source.statistics().dropped == 0


@pytest.mark.parametrize("make", [PushAudioSource, lambda: PushVideoSource(32, 32)])
async def test_closing_wakes_a_waiting_reader_and_a_waiting_drain(make: Any) -> None:
    empty = make()
    reading = asyncio.create_task(empty.read())
    full = make()
    for _ in range(4):
        full.push(picture(0) if isinstance(full, PushVideoSource) else AudioFrame(bytes(30 * FRAME), 48_000))
    draining = asyncio.create_task(full.drain())
    await asyncio.sleep(0)
    for source in (empty, full):
        await source.aclose()
        await source.aclose()
        source.end()
    with pytest.raises(Closed):
        await reading
    with pytest.raises(Closed):
        await draining
    for call in (empty.read, full.drain):
        with pytest.raises(Closed):
            await call()


async def test_a_cancelled_reader_loses_no_frame() -> None:
    source = PushAudioSource()
    reading = asyncio.create_task(source.read())
    await asyncio.sleep(0)
    source.push_pcm(b"x\0" * 960)
    reading.cancel()
    await asyncio.wait([reading])
    frame = await asyncio.wait_for(source.read(), 1)
    assert frame is not None
    assert (frame.data[:1], frame.timestamp_us) == (b"x", 0)


async def test_a_waiting_reader_sees_the_end() -> None:
    source = PushAudioSource()
    reading = asyncio.create_task(source.read())
    await asyncio.sleep(0)
    source.end()
    source.end()
    assert await reading is None
    assert await source.read() is None
    with pytest.raises(Closed, match="has ended"):
        source.push_pcm(bytes(FRAME))


@pytest.mark.parametrize(
    "frame",
    [
        AudioFrame(bytes(640), 16_000),
        AudioFrame(bytes(3_840), 48_000, 2),
        picture(0),
        b"pcm",
        None,
    ],
)
async def test_a_foreign_audio_frame_is_refused_and_changes_nothing(frame: Any) -> None:
    source = PushAudioSource()
    with pytest.raises(InvalidFrame, match="this source takes"):
        source.push(frame)
    assert source.statistics().accepted == 0


@pytest.mark.parametrize("pcm", ["text", [0, 1], 960, None])
async def test_pcm_that_is_no_bytes_is_refused(pcm: Any) -> None:
    with pytest.raises(InvalidFrame, match="must be bytes of int16"):
        PushAudioSource().push_pcm(pcm)


@pytest.mark.parametrize("frame", [picture(0, 64, 32), AudioFrame(bytes(FRAME), 48_000), None])
async def test_a_foreign_picture_is_refused(frame: Any) -> None:
    with pytest.raises(InvalidFrame, match="this source takes"):
        PushVideoSource(32, 32).push(frame)


async def test_pictures_keep_their_format_and_get_the_streams_timestamps() -> None:
    source = PushVideoSource(32, 32, 10)
    source.push(picture(1))
    source.push(VideoFrame(bytes(32 * 32 * 4), 32, 32, PixelFormat.RGBA, 999))
    source.end()
    frames = [frame async for frame in source]
    assert [(frame.format, frame.timestamp_us) for frame in frames] == [
        (PixelFormat.I420, 0),
        (PixelFormat.RGBA, 100_000),
    ]
