"""Frames kept in memory: bounded, counted, and woken for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.errors import Closed, InvalidInput
from utd_core.media import FrameCollector, FrameStream, VideoFrame

from .tools import audio_frames, noise

PICTURE = VideoFrame(bytes(24), 4, 4)


async def test_it_keeps_what_came_in_order() -> None:
    stream = noise(9_600)
    async with asyncio.timeout(5):
        collector = FrameCollector()
        waiting = asyncio.create_task(collector.wait_for(11))
        for frame in audio_frames(stream):
            await collector.write(frame)
        await asyncio.sleep(0)
        assert not waiting.done()
        await collector.write(PICTURE)
        await waiting
    assert collector.pcm == stream
    assert collector.video == (PICTURE,)
    assert collector.frames == (*collector.audio, PICTURE)


async def test_it_is_bounded_and_counts_what_it_lost() -> None:
    collector = FrameCollector(capacity=3)
    frames = audio_frames(noise(9_600))
    for frame in frames:
        await collector.write(frame)
    assert collector.frames == tuple(frames[-3:])
    assert (collector.taken, collector.dropped) == (10, 7)


async def test_waiting_for_more_than_comes_ends_with_the_collector() -> None:
    collector = FrameCollector()
    waiting = asyncio.create_task(collector.wait_for(2))
    await collector.write(PICTURE)
    await asyncio.sleep(0)
    await collector.aclose()
    await collector.aclose()
    with pytest.raises(Closed, match="after 1 of 2 frames"):
        await waiting
    with pytest.raises(Closed):
        await collector.write(PICTURE)
    assert collector.frames == (PICTURE,)


async def test_a_stream_is_read_while_it_is_written() -> None:
    stream = FrameStream(capacity=4)
    frames = audio_frames(noise(9_600))

    async def read() -> list[Any]:
        return [frame async for frame in stream]

    reading = asyncio.create_task(read())
    for frame in frames:
        await stream.write(frame)
        await asyncio.sleep(0)
    await stream.aclose()
    await stream.aclose()
    assert await reading == frames
    with pytest.raises(Closed):
        await stream.write(PICTURE)


async def test_a_slow_reader_loses_the_oldest_frames_and_sees_how_many() -> None:
    stream = FrameStream(capacity=4)
    frames = audio_frames(noise(9_600))
    for frame in frames:
        await stream.write(frame)
    await stream.aclose()
    assert [frame async for frame in stream] == frames[-4:]
    assert stream.statistics().dropped == 6


@pytest.mark.parametrize("kind", [FrameCollector, FrameStream])
@pytest.mark.parametrize("capacity", [0, -1, 2.5, None])
def test_capacity_is_a_number_of_frames(kind: Any, capacity: Any) -> None:
    with pytest.raises(InvalidInput, match="capacity"):
        kind(capacity)
