"""Ogg and MP4 files: readable, in time, sound and picture in step, whatever happens to their writer."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from utd_core.errors import Closed, ErrorCode, InvalidFrame, InvalidInput, MediaError, UTDStreamException
from utd_core.media import (
    AudioFormat,
    AudioFrame,
    FileAudioSource,
    FileVideoSource,
    Mp4Sink,
    OggSink,
    PixelFormat,
    TestPatternVideoSource,
    VideoFormat,
    VideoFrame,
    correlate,
    read_counter,
    to_rgba,
)
from utd_core.media.sinks import container as container_module
from utd_core.media.sinks.muxing import VideoCodec

from .tools import VOICE, audio_frames, cancel_at_await, noise, off_loop

AUDIO, VIDEO = AudioFormat(), VideoFormat(64, 64, 25)


async def pcm_of(path: Path) -> bytes:
    async with await FileAudioSource.open(path) as source:
        return b"".join([frame.data async for frame in source])


async def numbers_of(path: Path, **options: Any) -> list[int | None]:
    async with await FileVideoSource.open(path, **options) as source:
        return [read_counter(frame) async for frame in source]


async def voice() -> list[AudioFrame]:
    async with await FileAudioSource.open(VOICE) as source:
        return [frame async for frame in source]


async def pictures(seconds: float, start_us: int = 0) -> list[VideoFrame]:
    frames = [frame async for frame in TestPatternVideoSource(64, 64, 25, seconds=seconds)]
    return [VideoFrame(frame.data, 64, 64, timestamp_us=frame.timestamp_us + start_us) for frame in frames]


@pytest.mark.parametrize("kind", ["ogg", "mp4"])
async def test_the_voice_is_heard_and_what_was_lost_is_silence(tmp_path: Path, kind: str) -> None:
    frames = await voice()
    path = tmp_path / f"out.{kind}"
    lost = range(60, 75)
    async with await (OggSink.open(path) if kind == "ogg" else Mp4Sink.open(path, audio=AUDIO)) as sink:
        for number, frame in enumerate(frames):
            if number not in lost:
                await sink.write(frame)
    spoken = b"".join(bytes(1_920) if number in lost else frame.data for number, frame in enumerate(frames))
    heard = await pcm_of(path)
    likeness = await off_loop(correlate, spoken, heard)
    assert likeness.peak > 0.97
    assert abs(likeness.lag) < 48
    assert len(heard) == pytest.approx(len(spoken), abs=5_000)
    assert sink.statistics().filled_ms == 300
    assert sink.statistics().frames == 185


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 2)])
@pytest.mark.parametrize("kind", ["ogg", "mp4"])
async def test_every_rate_can_be_written(tmp_path: Path, kind: str, sample_rate: int, channels: int) -> None:
    async with await FileAudioSource.open(VOICE, sample_rate=sample_rate, channels=channels) as source:
        frames = [frame async for frame in source]
    path = tmp_path / f"out.{kind}"
    if kind == "ogg":
        sink: OggSink | Mp4Sink = await OggSink.open(path, sample_rate=sample_rate, channels=channels)
    else:
        sink = await Mp4Sink.open(path, audio=AudioFormat(sample_rate, channels))
    async with sink:
        for frame in frames:
            await sink.write(frame)
    async with await FileAudioSource.open(path, sample_rate=sample_rate, channels=channels) as source:
        heard = b"".join([frame.data async for frame in source])
    spoken = b"".join(frame.data for frame in frames)
    assert (await off_loop(correlate, spoken, heard)).peak > 0.9


async def test_sound_and_picture_are_in_step(tmp_path: Path) -> None:
    """A click and a picture of the same instant are still of the same instant in the file."""
    path = tmp_path / "out.mp4"
    click = noise(960)
    sound = [AudioFrame(click if n == 60 else bytes(1_920), 48_000, 1, 20_000 * n) for n in range(100)]
    async with await Mp4Sink.open(path, audio=AUDIO, video=VIDEO) as sink:
        for picture, first in zip(await pictures(2), range(0, 100, 2), strict=True):
            await sink.write(picture)
            for frame in sound[first : first + 2]:
                await sink.write(frame)
    assert await numbers_of(path) == list(range(50))
    likeness = await off_loop(correlate, click + bytes(1_920 * 4), (await pcm_of(path))[1_920 * 50 :])
    assert likeness.lag == pytest.approx(960 * 10, abs=96), "the click is at 1.2 s, within 2 ms"


async def test_a_late_picture_track_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    async with await Mp4Sink.open(path, audio=AUDIO, video=VIDEO) as sink:
        for frame in audio_frames(noise(48_000 * 2)):
            await sink.write(frame)
        for picture in await pictures(1, start_us=1_000_000):
            await sink.write(picture)

    def first_picture() -> float:
        import av

        with av.open(str(path)) as container:
            return next(float(frame.time) for frame in container.decode(video=0))

    assert await off_loop(first_picture) == pytest.approx(1.0, abs=0.01)


async def test_rgba_and_other_sizes_are_scaled_and_doubled_pictures_dropped(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames: list[VideoFrame] = []
    for number, frame in enumerate(await pictures(0.4)):
        frames.append(await off_loop(to_rgba, frame) if number % 2 else frame)
    large = [frame async for frame in TestPatternVideoSource(128, 96, 25, seconds=0.8)][10:]
    async with await Mp4Sink.open(path, video=VIDEO) as sink:
        for frame in [*frames, frames[3], *large]:
            await sink.write(frame)
    assert {frame.format for frame in frames} == set(PixelFormat)
    assert await numbers_of(path) == list(range(20))
    assert (sink.statistics().frames, sink.statistics().dropped) == (20, 1)


@pytest.mark.parametrize("count", [0, 1, 2, 25, 60])
@pytest.mark.parametrize("kind", ["ogg", "mp4", "film"])
async def test_closed_at_every_point_the_file_is_readable(tmp_path: Path, kind: str, count: int) -> None:
    path = tmp_path / f"out.{'ogg' if kind == 'ogg' else 'mp4'}"
    if kind == "ogg":
        sink: OggSink | Mp4Sink = await OggSink.open(path)
    else:
        sink = await Mp4Sink.open(path, audio=AUDIO, video=VIDEO if kind == "film" else None)
    shown = await pictures(3)
    for number, frame in enumerate(audio_frames(noise(960 * count))):
        await sink.write(frame)
        if kind == "film":
            await sink.write(shown[number])
    await asyncio.gather(sink.aclose(), sink.aclose())
    await sink.aclose()
    with pytest.raises(Closed):
        await sink.write(AudioFrame(bytes(1_920), 48_000))
    if count:
        assert len(await pcm_of(path)) == pytest.approx(1_920 * count, abs=2_048 * 2 + 1_920)
        if kind == "film":
            assert await numbers_of(path) == list(range(count))


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("kind", [OggSink, Mp4Sink])
async def test_cancelled_while_opening_it_leaves_nothing(tmp_path: Path, kind: Any, turns: int) -> None:
    async def open_and_close() -> None:
        path = tmp_path / "out"
        async with await (OggSink.open(path) if kind is OggSink else Mp4Sink.open(path, video=VIDEO)):
            pass

    await cancel_at_await(open_and_close, turns)


@pytest.mark.parametrize("kind", ["ogg", "mp4"])
async def test_a_killed_process_leaves_a_readable_file(tmp_path: Path, kind: str) -> None:
    program = dedent("""
        import asyncio, sys
        from utd_core.media import (
            AudioFormat, Mp4Sink, OggSink, TestPatternVideoSource, ToneAudioSource, VideoFormat
        )

        async def main(path):
            if path.endswith("ogg"):
                sink, pictures = await OggSink.open(path), None
            else:
                sink = await Mp4Sink.open(path, audio=AudioFormat(), video=VideoFormat(64, 64, 25))
                pictures = TestPatternVideoSource(64, 64, 25)
            number = 0
            async for frame in ToneAudioSource(seconds=10):
                await sink.write(frame)
                if pictures and number % 2 == 0:
                    await sink.write(await pictures.read())
                number += 1
            await sink.flush()
            print("written", flush=True)
            await asyncio.sleep(60)

        asyncio.run(main(sys.argv[1]))
    """)
    path = tmp_path / f"out.{kind}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"written\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await process.stdout.read() == b""
    assert len(await pcm_of(path)) >= 5 * 96_000, "at least half of it was on the disk"
    if kind == "mp4":
        numbers = await numbers_of(path)
        assert len(numbers) >= 5 * 25
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("frame", [AudioFrame(bytes(640), 16_000), VideoFrame(bytes(24), 4, 4), b"pcm", None])
async def test_a_foreign_frame_is_refused(tmp_path: Path, frame: Any) -> None:
    async with await OggSink.open(tmp_path / "out.ogg") as ogg:
        with pytest.raises(InvalidFrame, match=r"out\.ogg takes"):
            await ogg.write(frame)
    async with await Mp4Sink.open(tmp_path / "sound.mp4", audio=AUDIO) as sound:
        with pytest.raises(InvalidFrame, match=r"sound\.mp4"):
            await sound.write(frame)


async def test_a_stream_that_was_not_declared_is_refused(tmp_path: Path) -> None:
    async with await Mp4Sink.open(tmp_path / "sound.mp4", audio=AUDIO) as sound:
        with pytest.raises(InvalidFrame, match="opened without a picture"):
            await sound.write(VideoFrame(bytes(24), 4, 4))
    async with await Mp4Sink.open(tmp_path / "silent.mp4", video=VIDEO) as silent:
        with pytest.raises(InvalidFrame, match="opened without sound"):
            await silent.write(AudioFrame(bytes(1_920), 48_000))
    with pytest.raises(InvalidInput, match="needs a stream"):
        await Mp4Sink.open(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("bitrate", [0, -1, 10**12, 64e3, "64k", None])
async def test_a_senseless_bit_rate_is_refused(tmp_path: Path, bitrate: Any) -> None:
    for opening in (
        OggSink.open(tmp_path / "out.ogg", bitrate=bitrate),
        Mp4Sink.open(tmp_path / "out.mp4", audio=AUDIO, audio_bitrate=bitrate),
        Mp4Sink.open(tmp_path / "out.mp4", video=VIDEO, video_bitrate=bitrate),
    ):
        with pytest.raises(InvalidInput, match="bit rate must be"):
            await opening


async def test_a_build_without_an_encoder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "VideoCodec", lambda _, bitrate: VideoCodec(("nonsense",), bitrate))
    with pytest.raises(MediaError, match="no encoder of nonsense"):
        await Mp4Sink.open(tmp_path / "out.mp4", video=VIDEO)
    monkeypatch.setattr(container_module, "VideoCodec", lambda _, bitrate: VideoCodec(("nonsense", "mpeg4"), bitrate))
    async with await Mp4Sink.open(tmp_path / "out.mp4", video=VIDEO) as sink:
        for picture in await pictures(0.4):
            await sink.write(picture)
    assert await numbers_of(tmp_path / "out.mp4") == list(range(10)), "the next one of the list is used"


async def test_a_file_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "folder"
    for opening in (OggSink.open(path), Mp4Sink.open(path, audio=AUDIO)):
        with pytest.raises(MediaError, match="check the folder, the disk and the rights"):
            await opening


async def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for opening in (OggSink.open(tmp_path / "out.ogg"), Mp4Sink.open(tmp_path / "out.mp4", audio=AUDIO)):
        with pytest.raises(UTDStreamException, match=r'pip install "utd-core\[av\]"') as caught:
            await opening
        assert caught.value.code == ErrorCode.MISSING_EXTRA
