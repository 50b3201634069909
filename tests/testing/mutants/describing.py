"""Backends that tell wrong things of who participants are, who speaks, and how well they are connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from utd_core.concurrency import BoundedQueue
from utd_core.errors import NotFound, TooLarge
from utd_core.media.events import (
    ConnectionQuality,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    Speaker,
    SpeakersChanged,
)

from .covers import ConnectionCover, ControlCover, caught_by
from .telling import _Each


@caught_by("M64")
class IssuesNamelessTickets(ControlCover):
    async def issue_join(self, *args: Any, **more: Any) -> Any:
        return await self.inner.issue_join(*args, **{**more, "name": "", "metadata": "", "attributes": {}})


@caught_by("M65", "M66", "M70")
class DescribesOnlyToTheOthers(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.before = self.inner.local_participant

    @property
    def local_participant(self) -> Any:
        return self.before


@caught_by("M65", "S45")
class DescribesWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, ParticipantUpdated) else [event]


@caught_by("M66")
class ReplacesAttributes(ControlCover):
    async def update_participant(self, room: str, identity: str, *, attributes: Any = None, **more: Any) -> None:
        if isinstance(attributes, Mapping):
            (info,) = [one for one in await self.inner.list_participants(room) if one.identity == identity]
            attributes = {**dict.fromkeys(info.attributes, ""), **attributes}
        await self.inner.update_participant(room, identity, attributes=attributes, **more)


@caught_by("M67")
class TellsWhatIsNoChange(ControlCover):
    async def update_participant(self, room: str, identity: str, **more: Any) -> None:
        await self.inner.update_participant(room, identity, attributes={"again": "1"})
        await self.inner.update_participant(room, identity, attributes={"again": ""})
        await self.inner.update_participant(room, identity, **more)


@caught_by("M68")
class DescribesNobody(ControlCover):
    async def update_participant(self, room: str, identity: str, **more: Any) -> None:
        try:
            await self.inner.update_participant(room, identity, **more)
        except NotFound:
            return


@caught_by("M69")
class CutsWhatIsTooLarge(ControlCover):
    async def update_participant(self, room: str, identity: str, **more: Any) -> None:
        try:
            await self.inner.update_participant(room, identity, **more)
        except TooLarge:
            await self.inner.update_participant(room, identity, metadata="cut")


class _Speakers(_Each):
    """What is told of speakers, changed: `say(speakers)` gives those that are told in their place."""

    def change(self, event: Any) -> list[Any]:
        if not isinstance(event, SpeakersChanged):
            return [event]
        told = self.say(event.speakers)
        return [] if told is None else [SpeakersChanged(told)]

    def say(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...] | None:
        return speakers


@caught_by("C121", "C126", "C129", "S43")
class TellsOfNoSpeakers(_Speakers):
    def say(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...] | None:
        return None


@caught_by("C121")
class TellsAmplitudesForLevels(_Speakers):
    def say(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...] | None:
        return tuple(replace(speaker, level=10 ** (speaker.level / 20)) for speaker in speakers)


@caught_by("C122", "C127", "S43")
class LetsNobodyFallSilent(_Speakers):
    def say(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...] | None:
        return speakers or None


@caught_by("C123")
class TakesEachBreathForAnEnd(_Each):
    def change(self, event: Any) -> list[Any]:
        return [event, SpeakersChanged(), event] if isinstance(event, SpeakersChanged) and event.speakers else [event]


@caught_by("C124")
class TellsTheSoftestFirst(_Speakers):
    def say(self, speakers: tuple[Speaker, ...]) -> tuple[Speaker, ...] | None:
        return speakers[::-1]


@caught_by("C125", "C128")
class TakesEverySoundForSpeech(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        self.inner.events.put(SpeakersChanged((Speaker(self.inner.identity, -1.0),)))
        return await super().publish(options)


@caught_by("C127")
class LetsTheDepartedSpeak(_Each):
    def change(self, event: Any) -> list[Any]:
        if isinstance(event, ParticipantLeft):
            self.left = (Speaker(event.identity, -1.0),)
        return [SpeakersChanged(self.left)] if isinstance(event, SpeakersChanged) and hasattr(self, "left") else [event]


class _KeepsEverything(BoundedQueue[Any]):
    __slots__ = ()

    def supersede(self, item: Any) -> bool:
        return self.put(item)


@caught_by("C129")
class OverrunsWhoDoesNotRead(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.inner.events.__class__ = _KeepsEverything


@caught_by("C130", "C132", "S44")
class TellsOnlyItsOwnQuality(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, QualityChanged) and event.identity == "ann" else [event]


@caught_by("C131")
class TellsEveryQualityTwice(_Each):
    def change(self, event: Any) -> list[Any]:
        return [event, event] if isinstance(event, QualityChanged) else [event]


@caught_by("C132")
class FindsEveryConnectionGood(_Each):
    def change(self, event: Any) -> list[Any]:
        return [replace(event, quality=ConnectionQuality.GOOD)] if isinstance(event, QualityChanged) else [event]
