"""Backends whose declarations are not true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from utd_core.errors import Unsupported
from utd_core.media.faults import Fault

from .covers import BackendCover, ConnectionCover, ControlCover, ReaderCover, caught_by


@caught_by("C108", data=False)
class DeniesDataYetSendsIt(ConnectionCover):
    pass


@caught_by("C108", profiles=False)
class DeniesProfilesYetKnowsThem(ControlCover):
    pass


@caught_by("C108", server_mute=False)
class DeniesMuteVaguely(ControlCover):
    async def mute_track(self, *args: Any) -> None:
        raise Unsupported("no")


@caught_by("C108", notifications=False)
class DeniesNotificationsWithAForeignError(ControlCover):
    def notifications(self) -> Any:
        raise NotImplementedError("mock notifications")


@caught_by("C108", simulcast=False)
class DeniesSimulcastYetKnowsTracks(ConnectionCover):
    pass


@caught_by("C109")
class ListsFewerFaultsThanItAnswers(BackendCover):
    faults: ClassVar[Any] = frozenset(Fault) - {Fault.JITTER}


@caught_by("C110")
class CallsItselfSomethingElse(BackendCover):
    name: ClassVar[str] = "mick"


@caught_by("C106", max_participants=3)
class TakesMoreThanItDeclares(BackendCover):
    pass


@caught_by("C56", "C57")
class ClaimsExactMedia(ReaderCover):
    async def __anext__(self) -> Any:
        frame = await self.inner.__anext__()
        return replace(frame, data=bytes([frame.data[0] ^ 1]) + frame.data[1:])
