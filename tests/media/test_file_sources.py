"""Files play with the right shape and sound, and can be closed at every point."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from utd_core.errors import Closed, ErrorCode, InvalidInput, UTDStreamException
from utd_core.media import (
    AudioFormat,
    FileAudioSource,
    FileVideoSource,
    Mp4Sink,
    OggSink,
    TestPatternVideoSource,
    VideoFormat,
    correlate,
    read_counter,
)
from utd_core.media.sources import file as file_module
from utd_core.media.sources.read_ahead import ReadAhead

from .tools import VOICE, audio_frames, cancel_at_await, noise, off_loop, read_wav, write_wav

FRAME = 1_920


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files longer than 100 ms, or five small pictures, need several batches."""
    monkeypatch.setattr(file_module, "AUDIO_AHEAD_MS", 100)
    monkeypatch.setattr(file_module, "VIDEO_AHEAD_BYTES", 5 * 64 * 64 * 3 // 2)


async def pcm_of(path: Path, **options: Any) -> bytes:
    async with await FileAudioSource.open(path, **options) as source:
        return b"".join([frame.data async for frame in source])


async def make_video(path: Path, framerate: float = 25.0, seconds: float = 2.0) -> Path:
    async with await Mp4Sink.open(path, video=VideoFormat(64, 64, framerate)) as sink:
        async for frame in TestPatternVideoSource(64, 64, framerate, seconds=seconds):
            await sink.write(frame)
    return path


@pytest.mark.usefixtures("without_av")
async def test_the_voice_needs_no_extra() -> None:
    original = await off_loop(read_wav, VOICE)
    async with await FileAudioSource.open(VOICE) as source:
        frames = [frame async for frame in source]
        assert await source.read() is None
    heard = b"".join(frame.data for frame in frames)
    assert heard[: len(original)] == original, "bit for bit"
    assert not any(heard[len(original) :])
    assert {len(frame.data) for frame in frames} == {FRAME}
    assert [frame.timestamp_us for frame in frames] == [20_000 * n for n in range(len(frames))]


@pytest.mark.usefixtures("without_av")
async def test_without_the_extra_another_format_names_it(tmp_path: Path) -> None:
    other = await off_loop(write_wav, tmp_path / "telephone.wav", noise(8_000), 8_000)
    assert len(await pcm_of(other, sample_rate=8_000)) == 16_000, "in its own rate it needs no extra"
    with pytest.raises(UTDStreamException, match=r'needs av.*pip install "utd-core\[av\]"') as caught:
        await FileAudioSource.open(other)
    assert caught.value.code == ErrorCode.MISSING_EXTRA
    with pytest.raises(UTDStreamException, match="utd-core"):
        await FileVideoSource.open(other)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("frame_ms", [10, 20, 40])
async def test_a_file_of_many_batches_is_whole(tmp_path: Path, frame_ms: int) -> None:
    stream = noise(48_000)
    path = await off_loop(write_wav, tmp_path / "long.wav", stream)
    assert await pcm_of(path, frame_ms=frame_ms) == stream


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 1), (44_100, 2), (48_000, 2)])
async def test_any_rate_and_channel_count_becomes_the_wanted_one(
    tmp_path: Path, sample_rate: int, channels: int
) -> None:
    voice = await pcm_of(VOICE)
    path = tmp_path / "other.wav"
    await off_loop(
        write_wav, path, await pcm_of(VOICE, sample_rate=sample_rate, channels=channels), sample_rate, channels
    )
    heard = await pcm_of(path)
    assert len(heard) == pytest.approx(len(voice), abs=2 * FRAME)
    likeness = await off_loop(correlate, voice, heard)
    assert likeness.peak > (0.8 if sample_rate == 8_000 else 0.95)
    assert abs(likeness.lag) < 48, "within a millisecond"


async def test_ogg_is_decoded(tmp_path: Path) -> None:
    voice = await pcm_of(VOICE)
    async with await OggSink.open(tmp_path / "voice.ogg") as sink:
        for frame in audio_frames(voice):
            await sink.write(frame)
    likeness = await off_loop(correlate, voice, await pcm_of(tmp_path / "voice.ogg"))
    assert likeness.peak > 0.98
    assert abs(likeness.lag) < 48


@pytest.mark.parametrize("small", [False, True])
async def test_a_loop_goes_on_without_a_gap(tmp_path: Path, small: bool, request: pytest.FixtureRequest) -> None:
    if small:
        request.getfixturevalue("small_batches")
    stream = noise(960 * 12)
    path = await off_loop(write_wav, tmp_path / "loop.wav", stream)
    async with await FileAudioSource.open(path, loop=True) as source:
        frames = [frame for _ in range(100) if (frame := await source.read())]
    heard = b"".join(frame.data for frame in frames)
    assert heard == (stream * 9)[: len(heard)]
    assert len(frames) == 100
    assert frames[-1].timestamp_us == 99 * 20_000


async def test_a_short_loop_is_read_from_the_disk_once(tmp_path: Path) -> None:
    path = await off_loop(write_wav, tmp_path / "loop.wav", noise(960 * 3))
    async with await FileAudioSource.open(path, loop=True) as source:
        await off_loop(path.unlink)
        assert all([await source.read() for _ in range(50)])


async def test_the_last_frame_is_filled_up_with_silence(tmp_path: Path) -> None:
    path = await off_loop(write_wav, tmp_path / "short.wav", b"\1\1" * 1_000)
    heard = await pcm_of(path)
    assert heard == b"\1\1" * 1_000 + bytes(2 * FRAME - 2_000)


async def test_a_wav_cut_short_plays_what_is_there(tmp_path: Path) -> None:
    path = await off_loop(write_wav, tmp_path / "cut.wav", noise(9_600))
    whole = await off_loop(path.read_bytes)
    await off_loop(path.write_bytes, whole[: 44 + 9_601])
    heard = await pcm_of(path)
    assert heard[:9_600] == whole[44 : 44 + 9_600]


@pytest.mark.parametrize("kind", [FileAudioSource, FileVideoSource])
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.wav", None, "does not exist"),
        ("empty.wav", b"", "cannot be read as media"),
        ("letter.mp4", b"Dear Sir or Madam, " * 50, "cannot be read as media"),
        ("folder", "folder", "cannot be read as media"),
    ],
)
async def test_a_bad_file_is_one_error_that_names_it(
    tmp_path: Path, kind: Any, name: str, content: Any, says: str
) -> None:
    path = tmp_path / name
    if content == "folder":
        await off_loop(path.mkdir)
    elif content is not None:
        await off_loop(path.write_bytes, content)
    with pytest.raises(InvalidInput, match=says) as caught:
        await kind.open(path)
    assert name in caught.value.message


async def test_a_file_without_the_wanted_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no video"):
        await FileVideoSource.open(VOICE)
    video = await make_video(tmp_path / "silent.mp4", seconds=0.2)
    with pytest.raises(InvalidInput, match="has no audio"):
        await FileAudioSource.open(video)


async def test_an_empty_wav_ends_at_once_and_cannot_loop(tmp_path: Path) -> None:
    path = await off_loop(write_wav, tmp_path / "nothing.wav", b"")
    assert await pcm_of(path) == b""
    with pytest.raises(InvalidInput, match="cannot be played in a loop"):
        await FileAudioSource.open(path, loop=True)


@pytest.mark.parametrize("name", ["http:voice.wav", "pipe:0", "a b%20ü.wav"])
async def test_a_file_name_is_never_taken_for_an_address(tmp_path: Path, name: str) -> None:
    path = await off_loop(write_wav, tmp_path / name, noise(9_600), 16_000)
    assert len(await pcm_of(path)) >= 2 * 9_600 * 3 - FRAME


async def test_bad_options_are_refused_before_the_file_is_touched() -> None:
    with pytest.raises(InvalidInput, match="sample_rate"):
        await FileAudioSource.open("absent.wav", sample_rate=11_025)
    with pytest.raises(InvalidInput, match="20 is usual"):
        await FileAudioSource.open("absent.wav", frame_ms=0)
    with pytest.raises(InvalidInput, match="name of a file"):
        await FileAudioSource.open("")
    wrong: list[dict[str, Any]] = [
        {"width": "320"},
        {"width": 321},
        {"height": 0},
        {"framerate": 0},
        {"framerate": "25"},
    ]
    for options in wrong:
        with pytest.raises(InvalidInput, match=f"{next(iter(options))} must be"):
            await FileVideoSource.open("absent.mp4", **options)


@pytest.mark.usefixtures("small_batches")
async def test_video_plays_every_picture(tmp_path: Path) -> None:
    path = await make_video(tmp_path / "bars.mp4")
    async with await FileVideoSource.open(path) as source:
        assert source.format == VideoFormat(64, 64, 25.0)
        frames = [frame async for frame in source]
    assert [read_counter(frame) for frame in frames] == list(range(50))
    assert [frame.timestamp_us for frame in frames] == [40_000 * n for n in range(50)]


@pytest.mark.parametrize(("framerate", "count"), [(50.0, 100), (12.5, 25), (10.0, 20)])
async def test_another_rate_plays_at_the_right_speed(tmp_path: Path, framerate: float, count: int) -> None:
    path = await make_video(tmp_path / "bars.mp4")
    async with await FileVideoSource.open(path, framerate=framerate) as source:
        numbers = [read_counter(frame) async for frame in source]
    assert len(numbers) == pytest.approx(count, abs=1)
    for tick, number in enumerate(numbers):
        assert number == pytest.approx(tick / framerate * 25, abs=1)


async def test_a_file_of_varying_rate_plays_at_the_right_speed(tmp_path: Path) -> None:
    path = tmp_path / "varying.mp4"
    frames = [frame async for frame in TestPatternVideoSource(64, 64, 25, seconds=2)]
    async with await Mp4Sink.open(path, video=VideoFormat(64, 64, 25)) as sink:
        for number, frame in enumerate(frames):
            if number < 10 or number > 30:
                await sink.write(frame)
    async with await FileVideoSource.open(path, framerate=25) as source:
        numbers = [read_counter(frame) async for frame in source]
    assert len(numbers) == 50
    assert numbers[:10] == list(range(10))
    assert numbers[31:] == list(range(31, 50))
    assert set(numbers[10:31]) <= {9, 31}


@pytest.mark.parametrize(
    ("options", "size"),
    [({"width": 32}, (32, 32)), ({"height": 128}, (128, 128)), ({"width": 96, "height": 32}, (96, 32))],
)
async def test_video_is_scaled(tmp_path: Path, options: dict[str, Any], size: tuple[int, int]) -> None:
    path = await make_video(tmp_path / "bars.mp4", seconds=0.2)
    async with await FileVideoSource.open(path, **options) as source:
        frame = await source.read()
    assert frame is not None
    assert (frame.width, frame.height) == size
    assert read_counter(frame) == 0


async def test_video_loops(tmp_path: Path) -> None:
    path = await make_video(tmp_path / "bars.mp4", seconds=0.4)
    async with await FileVideoSource.open(path, loop=True) as source:
        numbers = [read_counter(frame) for _ in range(35) if (frame := await source.read())]
    assert numbers == (list(range(10)) * 4)[:35]


async def test_sound_of_a_film_is_found(tmp_path: Path) -> None:
    voice = await pcm_of(VOICE)
    path = tmp_path / "film.mp4"
    async with await Mp4Sink.open(path, audio=AudioFormat(), video=VideoFormat(64, 64, 25)) as sink:
        for frame in audio_frames(voice):
            await sink.write(frame)
        async for picture in TestPatternVideoSource(64, 64, 25, seconds=1):
            await sink.write(picture)
    likeness = await off_loop(correlate, voice, await pcm_of(path))
    assert likeness.peak > 0.95


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("reads", [0, 1, 4, 5, 6, 49, 50])
async def test_closed_at_any_point_it_leaves_nothing(tmp_path: Path, reads: int) -> None:
    path = await off_loop(write_wav, tmp_path / "long.wav", noise(48_000))
    video = await make_video(tmp_path / "bars.mp4")
    for source in (await FileAudioSource.open(path), await FileVideoSource.open(video)):
        for _ in range(reads):
            await source.read()
        await source.aclose()
        await source.aclose()
        with pytest.raises(Closed):
            await source.read()


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
async def test_cancelled_while_opening_it_leaves_nothing(tmp_path: Path, turns: int) -> None:
    path = await make_video(tmp_path / "bars.mp4", seconds=0.4)

    async def open_and_close() -> None:
        async with await FileVideoSource.open(path):
            pass

    await cancel_at_await(open_and_close, turns)


async def test_a_waiting_reader_is_woken_by_close_and_a_cancelled_one_loses_nothing() -> None:
    gate = threading.Semaphore(0)

    def slow() -> Any:
        for number in range(6):
            if number >= 2:
                gate.acquire(timeout=10)
            yield number

    ahead = ReadAhead(slow, batch=2, loop=False, name="slow")
    await ahead.open()
    assert [await ahead.get(), await ahead.get()] == [0, 1]
    reading = asyncio.create_task(ahead.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    gate.release(2)
    assert [await ahead.get(), await ahead.get()] == [2, 3], "the cancelled reader took none"

    reading = asyncio.create_task(ahead.get())
    await asyncio.sleep(0)
    closing = asyncio.create_task(ahead.aclose())
    gate.release(2)
    await closing
    with pytest.raises(Closed):
        await reading


async def test_a_file_that_breaks_midway_gives_what_came_before_and_then_the_error() -> None:
    def breaking() -> Any:
        yield from range(5)
        raise InvalidInput("film.mp4 cannot be read as media; the rest is gone")

    ahead = ReadAhead(breaking, batch=3, loop=False, name="breaking")
    await ahead.open()
    assert [await ahead.get() for _ in range(5)] == [0, 1, 2, 3, 4]
    for _ in range(2):
        with pytest.raises(InvalidInput, match="the rest is gone"):
            await ahead.get()
    await ahead.aclose()
