"""The recorded voice, spoken and heard."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from utd_core.media.analysis import correlate
from utd_core.media.convert import to_mono
from utd_core.media.frames import BYTES_PER_SAMPLE, AudioFrame, Frame

VOICE = Path(str(files("utd_core.cli") / "assets" / "voice.wav"))


async def likeness(frames: Sequence[Frame]) -> float:
    """How much of the voice is in what was heard, 0 to 1."""
    return await asyncio.to_thread(_likeness, frames)


def _likeness(frames: Sequence[Frame]) -> float:
    with wave.open(str(VOICE)) as file:
        said = file.readframes(file.getnframes())
    return correlate(said, in_time(frames)).peak


def in_time(frames: Sequence[Frame]) -> bytes:
    """Mono PCM of sound as a loudspeaker plays it: what was lost on the way is as long as it would have been."""
    played = bytearray()
    begin: int | None = None
    for frame in map(to_mono, (frame for frame in frames if isinstance(frame, AudioFrame))):
        begin = frame.timestamp_us if begin is None else begin
        due = (frame.timestamp_us - begin) * frame.sample_rate // 1_000_000 * BYTES_PER_SAMPLE
        played += bytes(max(0, due - len(played)))
        played += frame.data
    return bytes(played)
