"""The three scenes, written as an application would write them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ...client import UTDStreamType
from ...client.models import SeatMode
from ...media.capabilities import Capabilities
from .devices import SAMPLE_RATE
from .listener import Part
from .stage import Stage

CAST = ("ada", "ben", "cleo", "dan")
SEATS = 4


@dataclass(frozen=True, slots=True)
class Needs:
    """What a scene asks of a backend: `people` in one room, and capabilities by their names."""

    people: int
    capabilities: tuple[str, ...]

    def missing(self, backend: str, declared: Capabilities) -> str:
        """Why the backend cannot play the scene, in a sentence; empty when it can."""
        for name in self.capabilities:
            if not getattr(declared, name):
                return f"{backend} declares {name}=False, so it lacks this: {Capabilities.doc(name)}"
        if declared.max_participants is not None and declared.max_participants < self.people:
            return f"{backend} carries {declared.max_participants} participants in a room, and {self.people} take part"
        if SAMPLE_RATE not in declared.sample_rates:
            return f"{backend} does not carry the voice's rate of {SAMPLE_RATE} Hz"
        return ""


class Scene(ABC):
    """`listeners`: the parts of those who must hear the voice, on a backend with or without video."""

    name: ClassVar[str]
    needs: ClassVar[Needs]

    @abstractmethod
    def listeners(self, has_video: bool) -> tuple[Part, ...]: ...

    @abstractmethod
    async def play(self, stage: Stage, has_video: bool) -> None:
        """Play it to its end. Raises `UTDStreamException` when it cannot go on."""


class AudioRoom(Scene):
    """A listener asks to speak, the host approves, the seat grants publishing, and all others hear the voice."""

    name = "audio_room"
    needs = Needs(4, ("audio", "control", "grants_live"))

    def listeners(self, has_video: bool) -> tuple[Part, ...]:
        return Part("ada", hears="ben"), Part("cleo", hears="ben"), Part("dan", hears="ben")

    async def play(self, stage: Stage, has_video: bool) -> None:
        opening = stage.client("ada").join_audio_room(
            stage.room, as_host=True, seat_count=SEATS, seat_mode=SeatMode.REQUEST
        )
        ada = await stage.enter(opening)
        stage.end_with(ada)
        stage.show("ada")
        await ada.take_seat(0, publish=False)
        stage.say(f"ada opens a room with {SEATS} seats, given on request, and takes the first")
        ben, *_ = [await stage.enter(stage.client(name).join_audio_room(stage.room)) for name in ("ben", "cleo", "dan")]
        stage.show("cleo")
        stage.say("ben, cleo and dan come in to listen")
        await stage.listen("ada", "cleo", "dan")

        asked = await ben.request_to_speak()
        stage.say("ben asks to speak")
        await stage.until(
            "the arrival of ben's request",
            ada.requests,
            lambda requests: any(request.id == asked.id for request in requests),
        )
        await ada.approve_speaker(asked.id)
        stage.say("ada approves: ben has a seat, and the seat grants publishing")
        await stage.speak("ben")
        await ben.leave_seat()
        stage.say("ben goes back to the listeners")


class Call(Scene):
    """Two people call each other, and the second speaks before the first has finished: both directions at once."""

    name = "call"
    needs = Needs(2, ("audio", "control"))

    def listeners(self, has_video: bool) -> tuple[Part, ...]:
        if has_video:
            return Part("dan", hears="cleo", sees="cleo"), Part("cleo", hears="dan", sees="dan")
        return Part("dan", hears="cleo"), Part("cleo", hears="dan")

    async def play(self, stage: Stage, has_video: bool) -> None:
        kind = UTDStreamType.VIDEO_CALL if has_video else UTDStreamType.AUDIO_CALL
        cleo, dan = stage.performer("cleo"), stage.performer("dan")
        await cleo.call("dan", kind)
        stage.show("cleo")
        stage.say("cleo calls dan")
        await dan.ring(kind)
        stage.say("it rings at dan's")
        await dan.answer()
        stage.say("dan answers, and both microphones are open")
        await stage.listen("cleo", "dan")

        await stage.speak("cleo", "dan", apart=1.0)
        await dan.hang_up()
        stage.say("dan hangs up")


class LiveStream(Scene):
    """The host is live with video; a viewer is promoted to co-publish, and host and other viewers hear the voice."""

    name = "live_stream"
    needs = Needs(4, ("audio", "video", "control", "grants_live"))

    def listeners(self, has_video: bool) -> tuple[Part, ...]:
        return (
            Part("ada", hears="cleo", sees="cleo"),
            Part("ben", hears="cleo", sees="ada"),
            Part("dan", hears="cleo", sees="ada"),
        )

    async def play(self, stage: Stage, has_video: bool) -> None:
        ada = await stage.enter(stage.client("ada").join_live_stream(stage.room, as_host=True))
        stage.end_with(ada)
        stage.show("ada")
        await ada.go_live(with_video=True)
        stage.say("ada is live with sound and picture")
        _, cleo, _ = [
            await stage.enter(stage.client(name).join_live_stream(stage.room)) for name in ("ben", "cleo", "dan")
        ]
        stage.show("ben")
        stage.say("ben, cleo and dan watch")
        await stage.listen("ada", "ben", "dan")

        invited = await ada.ask_to_stage("cleo")
        stage.say("ada invites cleo on stage")
        await stage.until(
            "the arrival of the invitation",
            cleo.requests,
            lambda requests: any(request.id == invited.id for request in requests),
        )
        await cleo.accept_invitation(invited.id)
        stage.say("cleo accepts, and publishes beside ada")
        await stage.speak("cleo")
        await cleo.leave_stage()
        stage.say("cleo is a viewer again")


SCENES: tuple[Scene, ...] = (AudioRoom(), Call(), LiveStream())
