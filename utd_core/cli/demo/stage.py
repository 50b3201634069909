"""What every scene needs: people, sessions that are left in the end, recorders, and somebody who speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ...client import UTDSession, UTDStreamClient
from ...client.deadline import within
from ...concurrency import Clock, TaskScope
from ...engine import Engine
from ...errors import DeadlineExceeded, UTDStreamException
from ...media.sinks.wav import WavSink
from ...media.sources.pattern import TestPatternVideoSource
from ...model.permission import TrackSource
from .board import Board
from .listener import Listener, Part
from .report import Take
from .voice import Microphone, Voice

PATIENCE = 10.0
"""Seconds until a step of a scene that does not happen breaks it off."""
WARM_UP = 3.0
"""Seconds until somebody speaks although a listener does not hear the open microphone yet."""
TAIL = 0.3
"""Seconds of silence after the last word, besides what the slowest listener needed to hear the first sound."""
PICTURE = (320, 240, 15.0)
"""Width, height (pixels) and rate (1/s) of every camera."""

S = TypeVar("S", bound=UTDSession)
T = TypeVar("T")


class Performer:
    """One of the cast: a signed-in client, whose microphone says the voice and whose camera shows a test pattern."""

    def __init__(self, engine: Engine, identity: str, voice: Voice, *, has_camera: bool) -> None:
        self.identity = identity
        self.microphone: Microphone | None = None
        """The one that was opened last."""
        self._voice = voice
        self._clock = engine.clock
        self.client: UTDStreamClient = engine.client(
            identity,
            name=identity.capitalize(),
            microphone=self._open_microphone,
            camera=_open_camera if has_camera else None,
        )

    def _open_microphone(self) -> Microphone:
        self.microphone = Microphone(self._voice, self._clock)
        return self.microphone


def _open_camera() -> TestPatternVideoSource:
    return TestPatternVideoSource(*PICTURE)


class Stage:
    """One scene while it is played. Leaving it cuts the recordings, then leaves every session."""

    def __init__(
        self, scene: str, cast: dict[str, Performer], parts: tuple[Part, ...], folder: Path, clock: Clock, board: Board
    ) -> None:
        self.scene = scene
        self.clock = clock
        self.board = board
        self._cast = cast
        self._origin = clock.monotonic()
        self._listeners = {
            part.identity: Listener(part, folder / f"{scene}-{part.identity}.wav", clock, self._origin)
            for part in parts
        }
        self._recording = TaskScope(f"recorders of {scene}")
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        ...
