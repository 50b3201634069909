"""Files into frames, blocking: generators that `ReadAhead` runs in a thread.

Every failure of a file or of the decoder comes out as `InvalidInput` that names the file.
"""

from __future__ import annotations

import wave
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidInput
from ..extras import needs_extra
from ..formats import MAX_FRAMERATE, AudioFormat, VideoFormat
from ..frames import BYTES_PER_SAMPLE, MAX_VIDEO_SIDE
from ..pcm import PcmSlicer

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

_WAV_BLOCK = 48_000


@contextmanager
def reading(path: Path, *foreign: type[Exception]) -> Iterator[None]:
    """Around everything that touches the file: errors of Python's files and `foreign` ones become `InvalidInput`."""
    expected: tuple[type[Exception], ...] = (OSError, EOFError, wave.Error, *foreign)
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist; give the path of a media file") from error
    except expected as error:
        raise InvalidInput(f"{path} cannot be read as media ({error}); give a WAV, Ogg or MP4 file") from error


def wav_format(path: Path) -> AudioFormat | None:
    """The format of a plain int16 PCM WAV file that the standard library can read; None for anything else."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != BYTES_PER_SAMPLE:
                return None
            return AudioFormat(file.getframerate(), file.getnchannels())
    except (wave.Error, EOFError, InvalidInput):
        return None


def read_wav(path: Path, frame_bytes: int) -> Generator[bytes]:
    """Frames of a WAV file whose format is already right; the last one is filled up with silence."""
    slicer = PcmSlicer(frame_bytes)
    with reading(path), wave.open(str(path), "rb") as file:
        while block := file.readframes(_WAV_BLOCK):
            yield from slicer.push(block)
    if (last := slicer.flush()) is not None:
        yield last


def decode_audio(path: Path, wanted: AudioFormat, frame_bytes: int) -> Generator[bytes]:
    """Frames of the first audio stream, resampled; the last one is filled up with silence."""
    with needs_extra("reading this file"):
        import av
    slicer = PcmSlicer(frame_bytes)
    layout = "mono" if wanted.channels == 1 else "stereo"
    with reading(path, av.error.FFmpegError), _open(path) as container:
        if not container.streams.audio:
            raise InvalidInput(f"{path} has no audio; give a file that has")
        resampler = av.AudioResampler("s16", layout, wanted.sample_rate)
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                yield from slicer.push(_packed(part, wanted))
        for part in resampler.resample(None):
            yield from slicer.push(_packed(part, wanted))
    if (last := slicer.flush()) is not None:
        yield last


def _packed(frame: av.AudioFrame, wanted: AudioFormat) -> bytes:
    # A plane may be longer than its samples.
    return bytes(frame.planes[0])[: frame.samples * wanted.bytes_per_sample]


def probe_video(path: Path, width: int | None, height: int | None, framerate: float | None) -> VideoFormat:
    """The format a file is played in: its own, with what the caller wishes instead.

    One given side keeps the picture's proportions. Sides are rounded down to even numbers.
    """
    with needs_extra("reading a video file"):
        import av
    with reading(path, av.error.FFmpegError), _open(path) as container:
        stream = _video_stream(container, path)
        own_width, own_height = stream.codec_context.width, stream.codec_context.height
        rate = stream.average_rate or stream.guessed_rate
        if not own_width or not own_height:
            raise InvalidInput(f"{path} does not tell the size of its video; convert it to MP4")
    if width is None and height is None:
        width, height = _even(own_width), _even(own_height)
    elif width is None:
        assert height is not None
        width = _even(own_width * height / own_height)
    elif height is None:
        height = _even(own_height * width / own_width)
    if max(width, height) > MAX_VIDEO_SIDE:
        raise InvalidInput(f"{path} is {width}x{height}; give a width of at most {MAX_VIDEO_SIDE} pixels")
    if framerate is None:
        framerate = min(float(rate), MAX_FRAMERATE) if rate else 30.0
    return VideoFormat(width, height, framerate)


def decode_video(path: Path, wanted: VideoFormat) -> Generator[bytes]:
    """I420 pictures of the first video stream, scaled, at a constant rate.

    Every tick of that rate takes the picture whose time is nearest before it, so a file of varying rate, or of
    another rate, plays at the right speed: pictures are repeated or left out.
    """
    with needs_extra("reading a video file"):
        import av
    with reading(path, av.error.FFmpegError), _open(path) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        start: float | None = None
        held: bytes | None = None
        tick = 0
        for number, frame in enumerate(container.decode(stream)):
            time = number / wanted.framerate if frame.pts is None else frame.time
            start = time if start is None else start
            # Container clocks are coarse (1 ms in Matroska), hence the half tick of tolerance.
            due = (time - start) * wanted.framerate - 0.5
            while held is not None and tick < due:
                yield held
                tick += 1
            # A picture that would be left out needs no conversion, but which one that is shows only with the next.
            held = _planes(frame, wanted)
        if held is not None:
            yield held


def _open(path: Path) -> InputContainer:
    import av

    # The protocol is spelled out, so that a file called `http:x` or `pipe:0` is a file.
    return av.open(f"file:{path}")


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    if not container.streams.video:
        raise InvalidInput(f"{path} has no video; give a file that has")
    return container.streams.video[0]


def _even(side: float) -> int:
    return max(2, int(side) // 2 * 2)


def _planes(frame: av.VideoFrame, wanted: VideoFormat) -> bytes:
    """Scaled I420 without the padding at the end of rows."""
    picture = frame.reformat(wanted.width, wanted.height, "yuv420p")
    packed = []
    for plane in picture.planes:
        data, padded = memoryview(plane), plane.line_size
        if padded == plane.width:
            packed.append(bytes(data[: plane.width * plane.height]))
        else:
            packed.append(b"".join(data[row * padded : row * padded + plane.width] for row in range(plane.height)))
    return b"".join(packed)
