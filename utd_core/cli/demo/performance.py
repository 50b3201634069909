"""One embedded engine, the cast, and the scenes one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread

from ...concurrency import Clock, within
from ...engine import Engine
from ...errors import UTDStreamException
from ...media.backend import MediaBackend
from ...media.capabilities import Capabilities
from .board import Board, Progress
from .devices import Voice
from .listener import Listener
from .report import SceneReport, Take, judge
from .scenes import CAST, SCENES, Scene
from .stage import Performer, Stage, raise_curtain

LIMIT = 60.0
"""Seconds after which a scene is broken off, besides the time that the voice takes: whatever may hang, ends."""


class Performance:
    """Plays the scenes on one backend, embedded, through nothing but what an application has.

    `media`, `media_settings` and `clock` are the engine's; `declared`: the backend's capabilities. Recordings are made
    in `folder`, and `board` is told what happens.
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
        self._engine = Engine(media, media_settings=media_settings, clock=clock)

    async def run(self) -> tuple[SceneReport, ...]:
        """Play every scene that the backend can play. Raises what opening the engine and signing in raise."""
        async with AsyncExitStack() as exits:
            cast: dict[str, Performer] = {}
            reports = []
            for scene in SCENES:
                if why := scene.needs.missing(self._board.backend, self._declared):
                    self._board.mark(scene.name, Progress.LEFT_OUT)
                    reports.append(SceneReport(scene.name, played=False, why=why))
                    continue
                if not cast:
                    cast = await self._sign_in(exits)
                reports.append(await self._play(scene, cast))
            return tuple(reports)

    async def _sign_in(self, exits: AsyncExitStack) -> dict[str, Performer]:
        await exits.enter_async_context(self._engine)
        has_camera = self._declared.video
        cast = {
            identity: Performer(self._engine, identity, self._voice, self._board, has_camera=has_camera)
            for identity in CAST
        }
        for performer in cast.values():
            await exits.enter_async_context(performer.client)
        return cast

    async def _play(self, scene: Scene, cast: Mapping[str, Performer]) -> SceneReport:
        clock, has_video = self._engine.clock, self._declared.video
        begin = clock.monotonic()
        listeners = tuple(
            Listener(part, self._folder / f"{scene.name}-{part.identity}.wav", clock, begin)
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
