"""Did they hear it? What was recorded is compared with what was said."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...media.analysis import StretchedCorrelation, correlate_pieces
from .devices import CAMERA, FRAME_MS, SAMPLE_RATE, Speech, Voice
from .listener import Hearing, Stretch

HEARD_CORRELATION = 0.6
"""Without a codec it is 1; Opus keeps 0.9 of the voice at 8 kbit/s. Another sentence, another voice, noise or a tone
stays under 0.3."""
_PIECE = SAMPLE_RATE // 2
_SLACK = 2 * SAMPLE_RATE
"""On a busy machine or network the voice comes with pauses between the words that were not there; so it is compared in
pieces of half a second, each of which may lie up to 2 s off."""
HEARD_FRAMES = 0.9
"""Share of the frames that must arrive: with one of ten lost, every word is still understood."""
SEEN_PICTURES = 0.25
"""Share of the pictures that must arrive: the first can be shown only after a key frame, and a busy encoder leaves
some out."""

_FRAME_US = FRAME_MS * 1_000


@dataclass(frozen=True, slots=True)
class Take:
    """A finished recording, and the microphone that it is of (None: nobody opened it)."""

    listener: Hearing
    microphone: Speech | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener heard of the voice. `wav`: the name of the recording's file.

    `received_frames`: frames of 20 ms that came, of the stretch of the recording in which the voice lies. `delay_ms`:
    from when it was spoken to where it lies; None when it is not in the recording. `pictures`: those that were seen
    while it was spoken.
    """

    identity: str
    speaker: str
    wav: str
    expected_frames: int
    received_frames: int = 0
    correlation: float = 0.0
    delay_ms: float | None = None
    expected_pictures: int = 0
    pictures: int = 0

    @property
    def ok(self) -> bool:
        """The voice came, and it was the voice; and so did the pictures, where there are some."""
        return (
            self.correlation >= HEARD_CORRELATION
            and self.received_frames >= HEARD_FRAMES * self.expected_frames
            and self.pictures >= SEEN_PICTURES * self.expected_pictures
        )


@dataclass(frozen=True, slots=True)
class SceneReport:
    """`why`: what keeps a scene from being played; of one that was played, what broke it off."""

    scene: str
    played: bool
    why: str = ""
    listeners: tuple[Heard, ...] = ()

    @property
    def ok(self) -> bool:
        """It was played to its end, and everybody heard the voice."""
        return self.played and not self.why and all(listener.ok for listener in self.listeners)


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of the whole demo."""

    backend: str
    input: Path
    scenes: tuple[SceneReport, ...]

    @property
    def ok(self) -> bool:
        """At least one scene was played, and everybody heard the voice in each that was."""
        played = [scene for scene in self.scenes if scene.played]
        return bool(played) and all(scene.ok for scene in played)

    def as_dict(self, folder: Path | None) -> dict[str, Any]:
        """What `--json` prints. `folder`: where the recordings are, None when they were temporary."""
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
                            "wav": None if folder is None else str(folder / heard.wav),
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


def compare(said: bytes, heard: bytes) -> StretchedCorrelation:
    """How like two recordings (mono, `SAMPLE_RATE`) are. Raises as `correlate`."""
    return correlate_pieces(said, heard, size=_PIECE, slack=_SLACK)


def judge(take: Take, voice: Voice) -> Heard:
    """Compare a finished recording with the voice. Blocking.

    Raises `UTDStreamException` (missing_extra) without numpy.
    """
    listener, part = take.listener, take.listener.part
    likeness = compare(voice.pcm, read_wav(listener.path))
    spoken_at = None if take.microphone is None else take.microphone.spoken_at
    received, delay_ms, pictures = 0, None, 0
    if spoken_at is not None:
        spoken_us = begin_us = round((spoken_at - listener.origin) * 1_000_000)
        lasts_us = len(voice.frames) * _FRAME_US
        if likeness.peak >= HEARD_CORRELATION:
            begin_us = round(likeness.lag * 1_000_000 / SAMPLE_RATE)
            delay_ms = (begin_us - spoken_us) / 1_000
            lasts_us += max(0, round(likeness.stretch * 1_000_000 / SAMPLE_RATE))
        received = min(len(voice.frames), frames_within(listener.received, begin_us, begin_us + lasts_us))
        pictures = sum(spoken_at <= at <= spoken_at + voice.seconds for at in listener.pictures.values())
    return Heard(
        identity=part.identity,
        speaker=part.hears,
        wav=listener.path.name,
        expected_frames=len(voice.frames),
        received_frames=received,
        correlation=likeness.peak,
        delay_ms=delay_ms,
        expected_pictures=0 if part.sees is None else int(CAMERA.framerate * voice.seconds),
        pictures=pictures,
    )


def frames_within(received: Iterable[Stretch], begin_us: int, end_us: int) -> int:
    """How many frames of 20 ms cover a stretch of the recording, whatever length a backend's own frames have.

    What came twice counts once.
    """
    covered = 0
    for stretch in sorted(received, key=lambda stretch: stretch.start_us):
        start, stop = max(stretch.start_us, begin_us), min(stretch.start_us + stretch.duration_us, end_us)
        if start < stop:
            covered += stop - start
            begin_us = stop
    return round(covered / _FRAME_US)


def read_wav(path: Path) -> bytes:
    """The samples of a recording; none where it could not be made."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error):
        return b""
