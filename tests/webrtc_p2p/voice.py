"""The recorded voice, spoken and heard."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from utd_core.media.analysis import correlate
from utd_core.media.convert import to_mono
from utd_core.media.frames import AudioFrame, Frame

VOICE = Path(str(files("utd_core.cli") / "assets" / "voice.wav"))


async def likeness(frames: Sequence[Frame]) -> float:
    """How much of the voice is in what was heard, 0 to 1."""
    return await asyncio.to_thread(_likeness, frames)


def _likeness(frames: Sequence[Frame]) -> float:
    with wave.open(str(VOICE)) as file:
        said = file.readframes(file.getnframes())
    heard = b"".join(to_mono(frame).data for frame in frames if isinstance(frame, AudioFrame))
    return correlate(said, heard).peak
