"""A house in which `utd demo` is played in virtual time, so that seconds of voice take milliseconds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from utd_core.cli.demo.board import Board
from utd_core.cli.demo.devices import Voice
from utd_core.cli.demo.performance import Performance
from utd_core.cli.demo.report import Heard, Report, SceneReport
from utd_core.cli.demo.scenes import SCENES
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault
from utd_core.testing import VirtualClock
from utd_mock import MockBackend
from utd_mock.faults import produce

FRAMES = 60
"""Of the voice: "Hello everyone", 1.2 s."""


class House:
    """One performance on a mock backend. `settings` are the mock's; `declared` the capabilities in place of its own."""

    def __init__(self, folder: Path, *, declared: Capabilities | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.media = MockBackend(settings, self.clock)
        self.steps: list[tuple[str, str]] = []
        self.board = Board("mock", tuple(scene.name for scene in SCENES), self._told)
        self.folder = folder
        self.declared = declared or MockBackend.capabilities
        self.performance: Performance | None = None
        self._mishaps: dict[str, tuple[Fault, str, dict[str, float]]] = {}
        self.playing: asyncio.Task[tuple[SceneReport, ...]] | None = None

    async def begin(self) -> None:
        """The performance has begun."""
        voice = await Voice.load()
        self.voice = replace(voice, frames=voice.frames[:FRAMES])
        self.performance = Performance(self.media, self.declared, self.voice, self.folder, self.board, clock=self.clock)
        self.playing = asyncio.create_task(self.performance.run())

    async def until(self, scene: str, step: str) -> None:
        """Let the scene be played up to a step."""
        assert self.playing is not None
        await self.clock.advance_until(lambda: (scene, step) in self.steps or self.playing.done())  # type: ignore[union-attr]  # it plays
        assert (scene, step) in self.steps, self.steps

    async def end(self) -> Report:
        """Let it be played to its end."""
        if self.playing is None:
            await self.begin()
        playing = self.playing
        assert playing is not None
        await self.clock.advance_until(playing.done)
        await self.media.aclose()
        return Report("mock", self.voice.path, playing.result())

    def inject_at(self, step: str, fault: Fault, identity: str, **parameters: float) -> None:
        """Produce a fault for somebody in the moment of a step: what follows it may happen without time passing."""
        self._mishaps[step] = (fault, identity, parameters)

    def _told(self, scene: str, step: str) -> None:
        self.steps.append((scene, step))
        if (mishap := self._mishaps.pop(step, None)) is not None:
            fault, identity, parameters = mishap
            (room,) = self.media.server.room_names()
            produce(self.media.server, fault, room, identity, parameters)


def heard_in(report: Report, scene: str) -> dict[str, Heard]:
    """Who heard what in a scene."""
    return {each.identity: each for each in scene_of(report, scene).listeners}


def scene_of(report: Report, name: str) -> SceneReport:
    (found,) = (scene for scene in report.scenes if scene.scene == name)
    return found


def recordings_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def make_folder(path: Path) -> None:
    """A folder in the place of a file."""
    path.mkdir()
