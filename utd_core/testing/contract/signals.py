"""Test signals, and how to recognise them behind a codec.

A codec changes every byte, drops the first moments, resamples and joins frames; it keeps pitch, loudness and
brightness. So sound is a tone that is found again by its frequency, and pictures are flat fields found again
by their brightness. Only a backend that declares `exact_media` is compared byte for byte.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from ...media.frames import AudioFrame, Frame, PixelFormat, VideoFrame

F = TypeVar("F", AudioFrame, VideoFrame)

FRAME_MS = 20
LOUD_DBFS = -45.0
"""Sound below this level counts as silence (comfort noise, codec tails)."""
WINDOW_MS = 100
LUMA_TOLERANCE = 14.0
"""How far (of 255) a codec may move the brightness of a flat field."""

_FULL_SCALE = 32_767
_AMPLITUDE = 0.4


@lru_cache(maxsize=64)
def tone(
    *frequencies: float, seconds: float, sample_rate: int = 48_000, start_us: int = 0, amplitude: float = _AMPLITUDE
) -> tuple[AudioFrame, ...]:
    """Frames of 20 ms with one sine per channel: one frequency (Hz) is mono, two are stereo.

    `start_us`: timestamp of the first frame. `amplitude`: of full scale; at 0.4 the level is -11 dBFS in each channel.
    """
    per_frame = sample_rate * FRAME_MS // 1_000
    peak = _FULL_SCALE * amplitude
    turns = [2 * math.pi * frequency / sample_rate for frequency in frequencies]
    count = round(seconds * 1_000 / FRAME_MS)
    frames = []
    for index in range(count):
        first = index * per_frame
        pcm = array(
            "h",
            [round(peak * math.sin(turn * sample)) for sample in range(first, first + per_frame) for turn in turns],
        )
        if sys.byteorder == "big":
            pcm.byteswap()
        frames.append(AudioFrame(pcm.tobytes(), sample_rate, len(turns), start_us + index * FRAME_MS * 1_000))
    return tuple(frames)


def tune(notes: Iterable[float], *, seconds_each: float) -> list[AudioFrame]:
    """Mono tones one after the other, with timestamps that go on."""
    frames: list[AudioFrame] = []
    for index, note in enumerate(notes):
        frames += tone(note, seconds=seconds_each, start_us=round(index * seconds_each * 1_000_000))
    return frames


def seconds_of(frames: Iterable[AudioFrame]) -> float:
    """How long the frames last when played one after the other."""
    return sum(frame.duration_us for frame in frames) / 1_000_000


def loud_seconds(frames: Sequence[AudioFrame]) -> float:
    """How much of the frames, in windows of 100 ms, is louder than silence."""
    return sum(len(window) / rate for window, rate in _windows(frames) if _dbfs(window) > LOUD_DBFS)


def pitch_share(frames: Sequence[AudioFrame], frequency: float) -> float:
    """The share (0 to 1) of the energy of the loud windows that is at `frequency` Hz; 0 when all is silent."""
    shares = [_share(window, rate, frequency) for window, rate in _windows(frames) if _dbfs(window) > LOUD_DBFS]
    return sum(shares) / len(shares) if shares else 0.0


def melody(frames: Sequence[AudioFrame], candidates: Sequence[float]) -> list[float]:
    """Which of the candidate frequencies (Hz) are heard one after the other, repeats taken together.

    Windows in which none of them holds most of the energy (a change of tone, a lost packet) are passed over.
    """
    heard: list[float] = []
    for window, rate in _windows(frames):
        if _dbfs(window) <= LOUD_DBFS:
            continue
        share, best = max((_share(window, rate, candidate), candidate) for candidate in candidates)
        if share > 0.6 and heard[-1:] != [best]:
            heard.append(best)
    return heard


@lru_cache(maxsize=64)
def flat(luma: int, width: int = 160, height: int = 120, timestamp_us: int = 0) -> VideoFrame:
    """A grey I420 picture of brightness `luma` (0 to 255)."""
    size = width * height
    return VideoFrame(bytes([luma]) * size + b"\x80" * (size // 2), width, height, timestamp_us=timestamp_us)


def film(
    lumas: Sequence[int], *, seconds_each: float = 0.2, rate: float = 30.0, width: int = 160, height: int = 120
) -> list[VideoFrame]:
    """Flat pictures at `rate` per second, each brightness held for `seconds_each`."""
    held = max(1, round(seconds_each * rate))
    pictures = [luma for luma in lumas for _ in range(held)]
    return [flat(luma, width, height, index * round(1_000_000 / rate)) for index, luma in enumerate(pictures)]


def brightness(frame: VideoFrame) -> float:
    """Mean brightness (0 to 255) of a picture that is grey."""
    if frame.format is PixelFormat.I420:
        luma = frame.planes[0]
        return sum(luma) / len(luma)
    green = frame.data[1::4]
    # RGBA of limited-range video: undo the stretch of 16..235 to 0..255.
    return 16 + sum(green) / len(green) * 219 / 255


def storyboard(frames: Iterable[VideoFrame], lumas: Sequence[int]) -> list[int]:
    """Which of the brightness values are seen one after the other, repeats taken together."""
    seen: list[int] = []
    for frame in frames:
        level = brightness(frame)
        best = min(lumas, key=lambda luma: abs(luma - level))
        if abs(best - level) <= LUMA_TOLERANCE and seen[-1:] != [best]:
            seen.append(best)
    return seen


def audio(frames: Iterable[Frame]) -> list[AudioFrame]:
    """The frames, which must all be sound."""
    return _all_of(AudioFrame, frames)


def video(frames: Iterable[Frame]) -> list[VideoFrame]:
    """The frames, which must all be pictures."""
    return _all_of(VideoFrame, frames)


def _all_of(kind: type[F], frames: Iterable[Frame]) -> list[F]:
    found: list[F] = []
    for frame in frames:
        if not isinstance(frame, kind):
            raise AssertionError(f"a {type(frame).__name__} came out of a track of the other kind")
        found.append(frame)
    return found


def _windows(frames: Sequence[AudioFrame]) -> list[tuple[list[int], int]]:
    """Mono samples in windows of 100 ms; a shorter rest is left out unless it is all there is."""
    if not frames:
        return []
    rate = frames[0].sample_rate
    samples: list[int] = []
    for frame in frames:
        samples.extend(_mono(frame))
    size = rate * WINDOW_MS // 1_000
    whole = [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]
    return [(window, rate) for window in whole or [samples]]


def _mono(frame: AudioFrame) -> Sequence[int]:
    pcm = array("h", frame.data)
    if sys.byteorder == "big":
        pcm.byteswap()
    if frame.channels == 1:
        return pcm
    return [(left + right) // 2 for left, right in zip(pcm[::2], pcm[1::2], strict=True)]


def _dbfs(samples: Sequence[int]) -> float:
    energy = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(energy / _FULL_SCALE**2) if energy else -math.inf


def _share(samples: Sequence[int], rate: int, frequency: float) -> float:
    """Goertzel's algorithm: the energy at one frequency against all energy."""
    coefficient = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    energy = sum(sample * sample for sample in samples)
    return min(1.0, 2 * power / (len(samples) * energy)) if energy else 0.0
