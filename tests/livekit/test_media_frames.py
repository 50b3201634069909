"""Frames between the native library and the event loop: in order, bounded, and given back. No server is needed."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from utd_core.errors import MediaError
from utd_core.testing.contract.signals import tone
from utd_livekit.capture import AudioCapture
from utd_livekit.exchange import Exchange, FrameStream, Received
from utd_livekit.feeds import INAUDIBLE, _cropped, _is_inaudible
from utd_livekit.sdk import audio_stream, let_go

from .stage import becomes

RATE = 48_000
CAPACITY = 5
PIECE = tone(440.0, seconds=0.02)[0].data


pytestmark = pytest.mark.usefixtures("library")


@contextmanager
def looped(take: Any, capacity: int = 1_000) -> Iterator[tuple[AudioCapture, FrameStream]]:
    """Sound that is written, and taken from the same track again; it is silence while nothing is written."""
    source = rtc.AudioSource(RATE, 1, 200)
    track = rtc.LocalAudioTrack.create_audio_track("sound", source)
    stream = FrameStream(audio_stream(track, RATE, 1, 20), take, capacity)  # type: ignore[arg-type]  # a local one
    capture = AudioCapture(source)
    try:
        yield capture, stream
    finally:
        capture.close()
        stream.close()
        let_go(track, source)


def samples(received: Received) -> int:
    taken: int = received.frame.info.samples_per_channel
    return taken


async def test_what_two_write_at_the_same_time_is_taken_one_after_the_other() -> None:
    with looped(lambda _: None) as (capture, _):

        async def speak() -> None:
            for _ in range(20):
                await capture.write(PIECE)

        await asyncio.wait_for(asyncio.gather(speak(), speak()), 20.0)


async def test_a_writer_who_is_cancelled_while_it_waits_leaves_the_way_free() -> None:
    with looped(lambda _: None) as (capture, _):
        await capture.write(PIECE * 25)
        waiting = [asyncio.create_task(capture.write(PIECE)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[2].cancel()
        ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20.0)
        assert [type(one) for one in ended] == [asyncio.CancelledError, type(None), asyncio.CancelledError]
        await asyncio.wait_for(capture.write(PIECE), 20.0)


async def test_whoever_waits_to_write_is_told_that_the_track_has_ended() -> None:
    with looped(lambda _: None) as (capture, _):
        await capture.write(PIECE * 25)
        waiting = asyncio.create_task(capture.write(PIECE))
        await asyncio.sleep(0)
        capture.close()
        with pytest.raises(MediaError):
            await asyncio.wait_for(waiting, 20.0)


async def test_samples_outlive_their_track_until_the_library_has_read_them() -> None:
    with looped(lambda _: None) as (capture, _):
        # More than fits into what waits to be sent: the library takes the rest as time goes by.
        data = bytes(PIECE * 50)
        mine = sys.getrefcount(data)
        await capture.write(data)
        capture.close()
        assert sys.getrefcount(data) > mine
        await becomes(lambda: sys.getrefcount(data) == mine, "the answer")


async def test_a_busy_loop_finds_the_newest_frames_and_no_more_than_fit() -> None:
    taken: list[float] = []
    with looped(lambda _: taken.append(time.monotonic()), CAPACITY) as (_, stream):
        await becomes(lambda: taken, "frames")
        begin = time.monotonic()
        while time.monotonic() < begin + 0.5 or (len(stream._waiting) < CAPACITY and time.monotonic() < begin + 20.0):
            time.sleep(0.05)  # noqa: ASYNC251  # the loop is busy, and frames come meanwhile
        before = len(taken)
        assert len(stream._waiting) == CAPACITY
        await becomes(lambda: len(taken) >= before + CAPACITY, "what waited")


async def test_a_closed_stream_hands_out_nothing_more() -> None:
    taken: list[Received] = []
    with looped(taken.append) as (_, stream):
        await becomes(lambda: len(taken) > 3, "frames")
        assert {samples(one) for one in taken} == {RATE // 50}
        stream.close()
        stream.close()
        before = len(taken)
        await asyncio.sleep(0.1)
        assert len(taken) == before
        assert not stream._waiting


async def test_streams_of_the_sdk_itself_go_on() -> None:
    source = rtc.AudioSource(RATE, 1, 200)
    track = rtc.LocalAudioTrack.create_audio_track("sound", source)
    with looped(lambda _: None):
        own = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1)
        await source.capture_frame(rtc.AudioFrame(PIECE, RATE, 1, RATE // 50))
        async with asyncio.timeout(20.0):
            async for _ in own:
                break
        await own.aclose()
    await source.aclose()
    let_go(track)


def test_a_frame_that_comes_before_its_stream_is_known_waits_for_it() -> None:
    exchange = Exchange()
    told: list[Any] = []

    class Stream:
        def tell(self, news: Any) -> None:
            told.append(news)

    event = FfiEvent()
    event.audio_stream_event.stream_handle = 7
    answers: list[bool] = []
    with exchange._opening:
        # As `open` does while the library has answered and its first frame is already there.
        thread = threading.Thread(target=lambda: answers.append(exchange._look(event)))
        thread.start()
        exchange._streams[7] = Stream()  # type: ignore[assignment]  # stands in
    thread.join(20.0)
    assert answers == [True]
    assert [news.stream_handle for news in told] == [7]


def test_what_is_nobody_s_here_is_the_sdk_s() -> None:
    exchange = Exchange()
    for kind in ("audio_stream_event", "video_stream_event"):
        event = FfiEvent()
        getattr(event, kind).stream_handle = 7
        assert not exchange._look(event)
    event = FfiEvent()
    event.capture_audio_frame.async_id = 7
    assert not exchange._look(event)
    assert not exchange._look(FfiEvent())


@pytest.mark.parametrize(
    ("loudest", "where", "inaudible"),
    [
        (0, 0, True),
        (INAUDIBLE - 1, 500, True),
        (INAUDIBLE, 0, False),
        (INAUDIBLE, 501, False),
        (-INAUDIBLE, 959, False),
    ],
    ids=["nothing", "faint", "at_the_begin", "between_the_coarse_looks", "at_the_end"],
)
def test_a_single_sample_is_enough_to_be_heard(loudest: int, where: int, inaudible: bool) -> None:
    sound = array("h", bytes(1_920))
    sound[where] = loudest
    assert _is_inaudible(sound.tobytes()) is inaudible


def test_odd_sides_lose_their_last_column_and_row() -> None:
    luma = bytes(range(15))
    blue, red = bytes(range(100, 106)), bytes(range(200, 206))
    assert _cropped(luma + blue + red, 5, 3) == bytes([0, 1, 2, 3, 5, 6, 7, 8, 100, 101, 200, 201])
