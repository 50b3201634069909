"""The cast, and the scenes one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread

from ...concurrency import Clock, SystemClock, within
from ...engine import Engine
from ...errors import UTDStreamException
from ...media.backend import MediaBackend
from ...media.capabilities import Capabilities
from .board import Board, Progress
from .devices import Voice
from .houses import apart, is_played_apart, together
from .performers import Performer
from .report import SceneReport, Take, judge
from .scenes import CAST, SCENES, Scene
from .stage import Stage, raise_curtain

LIMIT = 60.0
"""Seconds after which a scene is broken off, besides the time that the voice takes: whatever may hang, ends."""


class Performance:
    """Plays the scenes on one backend, through nothing but what an application has.

    The engine is embedded; a backend for calls of two who signal over the engine (see `is_played_apart`) is played in
    two processes, with `utd serve` in a third. `media`, `media_settings` and `clock` are the engine's; `declared`: the
    backend's capabilities. Recordings are made in `folder`, and `board` is told what happens.
    """

    def __init__(
        self,
        media: str | MediaBackend,
        declared: Capabilities,
        voice: Voice,
        folder: Path,
        board: Board,
        *,
        media_settings: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.takes: dict[str, list[Take]] = {}
        """What was recorded, by scene."""
        self._declared = declared
        self._voice = voice
        self._folder = folder
        self._board = board
        self._media = media
        self._media_settings = media_settings or {}
        self._clock = clock or SystemClock()

    async def run(self) -> tuple[SceneReport, ...]:
        """Play every scene that the backend can play. Raises what opening the engine and signing in raise."""
        async with AsyncExitStack() as exits:
            cast: Mapping[str, Performer] = {}
            reports = []
            for scene in SCENES:
                if why := scene.needs.missing(self._board.backend, self._declared):
                    self._board.mark(scene.name, Progress.LEFT_OUT)
                    reports.append(SceneReport(scene.name, played=False, why=why))
                    continue
                if not cast:
                    cast = await exits.enter_async_context(self._house())
                reports.append(await self._play(scene, cast))
            return tuple(reports)

    def _house(self) -> AbstractAsyncContextManager[Mapping[str, Performer]]:
        has_camera = self._declared.video
        if isinstance(self._media, str) and is_played_apart(self._declared):
            given = (self._media, self._media_settings, self._clock)
            return apart(*given, self._voice, self._board, has_camera=has_camera)
        engine = Engine(self._media, media_settings=self._media_settings, clock=self._clock)
        return together(engine, CAST, self._voice, self._board, has_camera=has_camera)

    async def _play(self, scene: Scene, cast: Mapping[str, Performer]) -> SceneReport:
        clock, has_video = self._clock, self._declared.video
        begin = clock.monotonic()
        listeners = tuple(
            cast[part.identity].cast_as(part, self._folder / f"{scene.name}-{part.identity}.wav", begin)
            for part in scene.listeners(has_video)
        )
        self._board.begin(scene.name, listeners)
        stage = Stage(scene.name, cast, listeners, clock, self._board)
        limit = LIMIT + self._voice.seconds
        why = ""
        try:
            async with raise_curtain(stage):
                await within(clock, limit, scene.play(stage, has_video), f"it did not end within {limit:g} s")
        except UTDStreamException as error:
            why = error.message
        why = why or next((each.failure.message for each in listeners if each.failure is not None), "")
        takes = self.takes[scene.name] = stage.takes()
        heard = [await anyio.to_thread.run_sync(judge, take, self._voice) for take in takes]
        report = SceneReport(scene.name, played=True, why=why, listeners=tuple(heard))
        self._board.mark(scene.name, Progress.HEARD if report.ok else Progress.NOT_HEARD)
        return report
