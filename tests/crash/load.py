"""What the engine is made to do while it is killed: lanes of commands, each known by its lane and step.

A lane gives its commands one after the other, each under an idempotency key made of lane and step. Every command leaves
one event in one channel that says which step it was, so that afterwards each can be counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from utd_core.engine import Engine
from utd_core.model.call import CallEnded, CallStarted
from utd_core.model.channels import room_channel, user_channel
from utd_core.model.command import THE_SERVER, Actor
from utd_core.model.commands import CancelCall, CreateRoom, StartCall, UpdateMetadata
from utd_core.model.room import MetadataChanged
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import Envelope

HOT_ROOM = "hot"


@dataclass(frozen=True, slots=True)
class Lane(ABC):
    """One caller."""

    name: str

    @property
    @abstractmethod
    def channel(self) -> str:
        """Where the events are."""

    @abstractmethod
    async def prepare(self, engine: Engine) -> None:
        """What must be there before the first step; done once, however often it is called."""

    @abstractmethod
    async def take(self, engine: Engine, step: int) -> str:
        """Give the command of a step; what the engine answered, as it must be each time."""

    @abstractmethod
    def steps(self, history: Sequence[Envelope]) -> list[int]:
        """The steps that the events of the channel tell of, in their order."""

    def key(self, step: int) -> str:
        return f"{self.name}-{step}"


@dataclass(frozen=True, slots=True)
class RoomLane(Lane):
    """Changes a room's metadata; several lanes may share a room, whose commands are then committed together."""

    room: str

    @property
    def channel(self) -> str:
        return room_channel(self.room)

    async def prepare(self, engine: Engine) -> None:
        command = CreateRoom(room=self.room, type=UTDStreamType.AUDIO_ROOM, empty_timeout=86_400.0)
        await engine.execute(command, idempotency_key=f"create-{self.room}")

    async def take(self, engine: Engine, step: int) -> str:
        command = UpdateMetadata(room=self.room, metadata={"lane": self.name, "step": step})
        return str(await engine.execute(command, actor=THE_SERVER, idempotency_key=self.key(step)))

    def steps(self, history: Sequence[Envelope]) -> list[int]:
        changes = [envelope.event.metadata for envelope in history if isinstance(envelope.event, MetadataChanged)]
        return [change["step"] for change in changes if change["lane"] == self.name]


@dataclass(frozen=True, slots=True)
class CallLane(Lane):
    """Calls somebody and hangs up before the answer, over and over; each step touches a call and two people."""

    @property
    def caller(self) -> Actor:
        return Actor(f"caller-{self.name}")

    @property
    def channel(self) -> str:
        return user_channel(f"callee-{self.name}")

    async def prepare(self, engine: Engine) -> None:
        """Nothing is needed."""

    async def take(self, engine: Engine, step: int) -> str:
        started = step - step % 2
        # To hang up, the call is asked for again: an answered key must be answered with the same call.
        call = await engine.execute(self._start(started), actor=self.caller, idempotency_key=self.key(started))
        if step != started:
            command = CancelCall(id=call.call_id)
            await engine.execute(command, actor=self.caller, idempotency_key=self.key(step))
        return str(call.call_id)

    def _start(self, step: int) -> StartCall:
        return StartCall(
            type=UTDStreamType.AUDIO_CALL, callee=f"callee-{self.name}", ring_timeout=180.0, metadata={"step": step}
        )

    def steps(self, history: Sequence[Envelope]) -> list[int]:
        steps: list[int] = []
        for envelope in history:
            if isinstance(envelope.event, CallStarted):
                steps.append(envelope.event.metadata["step"])
            elif isinstance(envelope.event, CallEnded):
                steps.append(steps[-1] + 1)
        return steps


LANES: tuple[Lane, ...] = (
    *(RoomLane(f"hot{n}", HOT_ROOM) for n in range(8)),
    *(RoomLane(f"own{n}", f"room-{n}") for n in range(8)),
    *(CallLane(f"call{n}") for n in range(4)),
)
