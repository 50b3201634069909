"""A WAV file is right in content and timing, and readable whenever its writer ends."""

from __future__ import annotations

import asyncio
import signal
import sys
import wave
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from utd_core.errors import Closed, InvalidFrame, InvalidInput, MediaError, TooLarge
from utd_core.media import AudioFrame, VideoFrame, WavSink
from utd_core.media.sinks import wav as wav_module

from .tools import audio_frames, cancel_at_await, noise, off_loop, read_wav

PICTURE = VideoFrame(bytes(24), 4, 4)


@pytest.mark.parametrize(("sample_rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 1), (48_000, 2)])
async def test_what_is_written_is_read(tmp_path: Path, sample_rate: int, channels: int) -> None:
    stream = noise(sample_rate * channels * 3)
    path = tmp_path / "out.wav"
    async with await WavSink.open(path, sample_rate=sample_rate, channels=channels) as sink:
        for frame in audio_frames(stream, sample_rate=sample_rate, channels=channels):
            await sink.write(frame)

    def check() -> None:
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (sample_rate, channels, 2)
            assert file.readframes(file.getnframes()) == stream

    await off_loop(check)
    assert sink.statistics().frames == 150


async def test_what_was_lost_is_silence_of_the_right_length(tmp_path: Path) -> None:
    stream = noise(960 * 100)
    frames = audio_frames(stream)
    kept = [frame for number, frame in enumerate(frames) if number not in (0, 1, 40, 41, 42, 70)]
    async with await WavSink.open(tmp_path / "out.wav") as sink:
        for frame in [*kept, kept[-1], kept[50]]:
            await sink.write(frame)
    heard = await off_loop(read_wav, tmp_path / "out.wav")
    expected = b"".join(bytes(1_920) if frame not in kept else frame.data for frame in frames)
    assert heard == expected
    statistics = sink.statistics()
    assert (statistics.frames, statistics.filled_ms, statistics.dropped) == (94, 120.0, 2)


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 60])
async def test_closed_after_any_number_of_frames_it_is_readable(tmp_path: Path, count: int) -> None:
    frames = audio_frames(noise(960 * count))
    sink = await WavSink.open(tmp_path / "out.wav")
    for frame in frames:
        await sink.write(frame)
    await asyncio.gather(sink.aclose(), sink.aclose())
    await sink.aclose()
    assert await off_loop(read_wav, tmp_path / "out.wav") == b"".join(frame.data for frame in frames)
    with pytest.raises(Closed, match=r"out\.wav is finished"):
        await sink.write(AudioFrame(bytes(1_920), 48_000))


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_a_cancelled_writer_loses_no_frame_that_was_taken(tmp_path: Path, turns: int) -> None:
    sink = await WavSink.open(tmp_path / "out.wav")
    frames = audio_frames(noise(960 * 200))
    taken = []

    async def write_all() -> None:
        for frame in frames:
            taken.append(frame)
            await sink.write(frame)

    await cancel_at_await(write_all, turns)
    await sink.aclose()
    assert await off_loop(read_wav, tmp_path / "out.wav") == b"".join(frame.data for frame in taken)


@pytest.mark.parametrize("turns", range(6))
async def test_cancelled_while_opening_it_leaves_nothing(tmp_path: Path, turns: int) -> None:
    async def open_and_close() -> None:
        async with await WavSink.open(tmp_path / "out.wav"):
            pass

    await cancel_at_await(open_and_close, turns)


async def test_while_it_is_written_it_is_readable(tmp_path: Path) -> None:
    stream = noise(960 * 100)
    async with await WavSink.open(tmp_path / "out.wav") as sink:
        assert await off_loop(read_wav, tmp_path / "out.wav") == b""
        for frame in audio_frames(stream):
            await sink.write(frame)
        await sink.flush()
        assert await off_loop(read_wav, tmp_path / "out.wav") == stream


async def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    program = dedent("""
        import asyncio, sys
        from utd_core.media import ToneAudioSource, WavSink

        async def main():
            sink = await WavSink.open(sys.argv[1])
            async for frame in ToneAudioSource(seconds=3):
                await sink.write(frame)
            print("written", flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    path = tmp_path / "out.wav"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"written\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    # Past the transport's own clean-up of the pipe.
    assert await process.stdout.read() == b""
    assert len(await off_loop(read_wav, path)) >= (3 - 0.5) * 96_000


@pytest.mark.parametrize(
    "frame", [AudioFrame(bytes(640), 16_000), AudioFrame(bytes(3_840), 48_000, 2), PICTURE, b"pcm", None]
)
async def test_a_foreign_frame_is_refused_and_changes_nothing(tmp_path: Path, frame: Any) -> None:
    async with await WavSink.open(tmp_path / "out.wav") as sink:
        with pytest.raises(InvalidFrame, match=r"out\.wav takes"):
            await sink.write(frame)
    assert await off_loop(read_wav, tmp_path / "out.wav") == b""


async def test_a_file_that_cannot_be_made_is_one_error_that_says_what_to_check(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "such" / "folder.wav", tmp_path):
        with pytest.raises(MediaError, match="check the folder, the disk and the rights"):
            await WavSink.open(path)
    with pytest.raises(InvalidInput, match="sample_rate"):
        await WavSink.open(tmp_path / "out.wav", sample_rate=22_050)
    with pytest.raises(InvalidInput, match="name of a file"):
        await WavSink.open("")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
async def test_a_full_disk_is_an_error_and_still_closes() -> None:
    with pytest.raises(MediaError, match="No space left"):
        await WavSink.open("/dev/full")


async def test_a_file_never_outgrows_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav_module, "LARGEST_WAV_BYTES", 96_000)
    sink = await WavSink.open(tmp_path / "out.wav")
    for frame in audio_frames(noise(960 * 50)):
        await sink.write(frame)
    with pytest.raises(TooLarge, match="go on in another file"):
        await sink.write(AudioFrame(bytes(96_000), 48_000, 1, 1_000_000))
    await sink.aclose()
    assert len(await off_loop(read_wav, tmp_path / "out.wav")) == 96_000


async def test_a_frame_of_another_world_is_refused_at_once_and_costs_no_other_frame(tmp_path: Path) -> None:
    frames = audio_frames(noise(9_600))
    async with await WavSink.open(tmp_path / "out.wav") as sink:
        for number, frame in enumerate(frames):
            if number == 5:
                with pytest.raises(InvalidFrame, match="after the end of the recording"):
                    await sink.write(AudioFrame(frame.data, 48_000, 1, 10**15))
            await sink.write(frame)
    assert await off_loop(read_wav, tmp_path / "out.wav") == b"".join(frame.data for frame in frames)
