"""One of the cast in a process of its own: what it is told, and what it shows of itself.

Both directions are lines of JSON. The first line says who it is (`Role`), and is answered as order 0 once that one is
signed in, with the difference of its clocks; orders are answered by their numbers, one after the other. In between it
shows what has changed: how loud it is, what it has said, heard and seen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...client import UTDStreamType
from ...concurrency import Clock, TaskScope, within
from ...errors import UTDStreamException
from ...media.sinks.level import SILENT, Level
from .board import Board
from .devices import Loudness
from .listener import Part, Stretch
from .performers import Performer
from .processes import STARTING, Run, running

PROGRAM = f"{__package__}.elsewhere"


@dataclass(frozen=True, slots=True)
class Role:
    """Who a process is. `voice`: a speech file; `settings`: the backend's."""

    identity: str
    base_url: str
    app_id: str
    app_key: str
    backend: str
    settings: dict[str, Any]
    voice: str
    has_camera: bool


@dataclass(slots=True)
class Gauge:
    """A meter that is read elsewhere."""

    level: Level = SILENT
    is_speaking: bool = False


@dataclass(slots=True)
class FarSpeech:
    """See `Speech`."""

    seconds: float
    meter: Gauge = field(default_factory=Gauge)
    loudness: list[Loudness] = field(default_factory=list)
    opened_at: float | None = None
    spoken_at: float | None = None
    worst_lateness: float = 0.0


@dataclass(slots=True)
class FarHearing:
    """See `Hearing`."""

    part: Part
    path: Path
    origin: float
    meter: Gauge = field(default_factory=Gauge)
    received: list[Stretch] = field(default_factory=list)
    pictures: dict[int, float] = field(default_factory=dict)
    first_at: float | None = None
    failure: UTDStreamException | None = None
    hears: asyncio.Event = field(default_factory=asyncio.Event)


class FarPerformer(Performer):
    """One in another process; see `far_performer`."""

    def __init__(self, identity: str, voice_seconds: float, run: Run, clock: Clock, board: Board) -> None:
        self.identity = identity
        self._run = run
        self._clock = clock
        self._board = board
        self._voice_seconds = voice_seconds
        self._ahead = 0.0
        """Seconds by which its clock is ahead of the one here."""
        self._speech: FarSpeech | None = None
        self._hearing: FarHearing | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._orders = 0
        self._failure: UTDStreamException | None = None

    async def meet(self, role: Role) -> None:
        """Tell it who it is, and wait until it is signed in. Raises what it says, or that it has ended."""
        answer = await within(
            self._clock, STARTING, self._ask(asdict(role)), f"the process of {self.identity} did not get ready"
        )
        self._ahead = (self._clock.now() - self._clock.monotonic()) - answer["epoch"]

    @property
    def speech(self) -> FarSpeech | None:
        return self._speech

    @property
    def session(self) -> None:
        return None

    def cast_as(self, part: Part, path: Path, origin: float) -> FarHearing:
        self._hearing = FarHearing(part, path, origin)
        return self._hearing

    async def prepare(self) -> None:
        self._speech = None
        part: dict[str, Any] = {}
        if (hearing := self._hearing) is not None:
            origin = hearing.origin - self._ahead
            part = {"part": asdict(hearing.part), "path": str(hearing.path), "origin": origin}
        await self._do("prepare", **part)

    async def leave(self) -> None:
        if self._failure is None:
            await self._do("leave")
        self._hearing = None

    async def call(self, callee: str, kind: UTDStreamType) -> None:
        await self._do("call", callee=callee, kind=kind)

    async def ring(self, kind: UTDStreamType) -> None:
        await self._do("ring", kind=kind)

    async def answer(self) -> None:
        await self._do("answer")

    async def hang_up(self) -> None:
        await self._do("hang_up")

    async def listen(self) -> None:
        await self._do("listen")

    async def hears_something(self) -> None:
        assert self._hearing is not None, "it has a part"
        await self._hearing.hears.wait()

    async def has_opened(self) -> None:
        await self._do("has_opened")

    async def speak(self) -> None:
        await self._do("speak")

    async def has_spoken(self) -> None:
        await self._do("has_spoken")

    async def follow(self) -> None:
        """Read what it says, to its end."""
        try:
            while True:
                self._take(json.loads(await self._run.read()))
        except UTDStreamException as ended:
            self._failure = ended
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ended)

    async def _do(self, order: str, **arguments: Any) -> None:
        await self._ask({"do": order, "with": arguments})

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        number, self._orders = self._orders, self._orders + 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._run.write(json.dumps(order))
            found: dict[str, Any] = await answer
        finally:
            del self._answers[number]
        if failed := found.get("failed"):
            raise UTDStreamException(**failed)
        return found

    def _take(self, line: dict[str, Any]) -> None:
        if "answer" in line:
            waiting = self._answers.get(line["answer"])
            if waiting is not None and not waiting.done():
                waiting.set_result(line)
            return
        if (said := line.get("said")) is not None:
            self._take_speech(said)
        if (heard := line.get("heard")) is not None and self._hearing is not None:
            self._take_hearing(self._hearing, heard)

    def _take_speech(self, said: dict[str, Any]) -> None:
        if self._speech is None:
            self._speech = FarSpeech(self._voice_seconds)
            self._board.opened(self.identity, self._speech)
        speech = self._speech
        speech.meter = Gauge(Level(*said["level"]), said["is_speaking"])
        speech.opened_at, speech.spoken_at = self._here(said["opened_at"]), self._here(said["spoken_at"])
        speech.worst_lateness = said["worst_lateness"]
        speech.loudness += [Loudness(at + self._ahead, dbfs) for at, dbfs in said["loudness"]]

    def _take_hearing(self, hearing: FarHearing, heard: dict[str, Any]) -> None:
        hearing.meter = Gauge(Level(*heard["level"]), heard["is_speaking"])
        hearing.first_at = self._here(heard["first_at"])
        hearing.received += [Stretch(start, duration) for start, duration in heard["received"]]
        hearing.pictures.update((number, at + self._ahead) for number, at in heard["pictures"])
        if heard["failure"]:
            hearing.failure = UTDStreamException(heard["failure"])
        if hearing.first_at is not None:
            hearing.hears.set()

    def _here(self, at: float | None) -> float | None:
        return None if at is None else at + self._ahead


@asynccontextmanager
async def far_performer(identity: str, voice_seconds: float, clock: Clock, board: Board) -> AsyncIterator[FarPerformer]:
    """Somebody in a process of its own, which begins now and ends with it; `meet` is its first word."""
    name = f"the process of {identity}"
    scope = TaskScope(f"what {name} says")
    async with running(name, "-m", PROGRAM, environment={}, takes_orders=True) as run:
        performer = FarPerformer(identity, voice_seconds, run, clock, board)
        try:
            await scope.open()
            scope.start(performer.follow)
            yield performer
        finally:
            await scope.aclose()
