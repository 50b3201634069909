"""Did they hear it? What was recorded is compared with what was said."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...media.analysis import correlate
from .listener import Listener, Stretch
from .voice import SAMPLE_RATE, Voice

HEARD_CORRELATION = 0.6
"""A codec changes the waveform (Opus at speech bit rates keeps 0.8 and more of it), while another voice, noise or a
voice with holes of seconds stays well under 0.5. Without a codec it is 1."""
HEARD_FRAMES = 0.9
"""Share of the frames that must arrive. A network loses some and a jitter buffer stretches a few; of a voice that
lost one frame in ten every word is still understood."""
SEEN_PICTURES = 0.25
"""Share of the pictures that must arrive. A picture can be shown only after the first key frame, and a busy encoder
leaves some out."""

_FRAME_US = 20_000


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener heard of the voice.

    `received_frames` are frames of 20 ms, in which the voice lies in the recording. `delay_ms`: from the speaker's
    schedule to the place in the recording; None when the voice is not in it. `pictures`: of `expected_pictures`.
    """

    identity: str
    speaker: str
    wav: Path
    expected_frames: int
    received_frames: int
    correlation: float
    delay_ms: float | None = None
    expected_pictures: int = 0
    pictures: int = 0

    @property
    def ok(self) -> bool:
        """The voice came, and it was the voice; and pictures, where there are some."""
        return (
            self.correlation >= HEARD_CORRELATION
            and self.received_frames >= HEARD_FRAMES * self.expected_frames
            and self.pictures >= SEEN_PICTURES * self.expected_pictures
        )


@dataclass(frozen=True, slots=True)
class SceneReport:
    """`why`: what keeps a scene from being played; or, of one that was played, what broke it off."""

    scene: str
    played: bool
    why: str = ""
    listeners: tuple[Heard, ...] = ()

    @property
    def ok(self) -> bool:
        """Everybody heard the voice, and nothing broke off."""
        return self.played and not self.why and all(listener.ok for listener in self.listeners)


@dataclass(frozen=True, slots=True)
class Report:
    """What `utd demo --json` prints."""

    backend: str
    input: Path
    scenes: tuple[SceneReport, ...]

    @property
    def ok(self) -> bool:
        """At least one scene was played, and in each that was everybody heard the voice."""
        played = [scene for scene in self.scenes if scene.played]
        return bool(played) and all(scene.ok for scene in played)

    def as_dict(self, recordings_kept: bool) -> dict[str, Any]:
        """Plain values; `wav` is None where the recordings were temporary."""
        return {
            "backend": self.backend,
            "input": str(self.input),
            "ok": self.ok,
            "scenes": [
                {
                    "scene": scene.scene,
                    "played": scene.played,
                    "why": scene.why,
                    "listeners": [
                        {
                            "identity": heard.identity,
                            "wav": str(heard.wav) if recordings_kept else None,
                            "expected_frames": heard.expected_frames,
                            "received_frames": heard.received_frames,
                            "correlation": round(heard.correlation, 4),
                        }
                        for heard in scene.listeners
                    ],
                }
                for scene in self.scenes
            ],
        }


def judge(listener: Listener, voice: Voice, spoken_at: float | None, origin: float, expected_pictures: int) -> Heard:
    """Compare a finished recording with the voice. Blocking.

    `origin`: the clock's reading at the recording's beginning, `spoken_at`: at the voice's (None: nobody spoke).
    Raises `UTDStreamException` (missing_extra) without numpy.
    """
    part = listener.part
    correlation = correlate(voice.pcm, read_wav(listener.path))
    recognised = correlation.peak >= HEARD_CORRELATION
    spoken_us = None if spoken_at is None else round((spoken_at - origin) * 1_000_000)
    heard_us = round(correlation.lag * 1_000_000 / SAMPLE_RATE) if recognised else spoken_us
    received = 0
    if heard_us is not None:
        received = frames_within(listener.received, heard_us, heard_us + len(voice.frames) * _FRAME_US)
    return Heard(
        identity=part.identity,
        speaker=part.hears,
        wav=listener.path,
        expected_frames=len(voice.frames),
        received_frames=received,
        correlation=correlation.peak,
        delay_ms=(heard_us - spoken_us) / 1_000 if recognised and heard_us is not None and spoken_us is not None else None,
        expected_pictures=expected_pictures,
        pictures=len(listener.pictures),
    )


def frames_within(received: list[Stretch], start_us: int, end_us: int) -> int:
    """How many frames of 20 ms were received of a stretch of the recording, whatever length a backend's frames have."""
    covered = sum(
        max(0, min(stretch.start_us + stretch.duration_us, end_us) - max(stretch.start_us, start_us))
        for stretch in received
    )
    return round(covered / _FRAME_US)


def read_wav(path: Path) -> bytes:
    """The samples of a recording."""
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())
