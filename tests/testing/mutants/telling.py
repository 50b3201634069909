"""Backends that tell their participants wrong things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from utd_core.errors import Forbidden, NotFound, TooLarge
from utd_core.media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    StateChanged,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
    TrackUnsubscribed,
)
from utd_core.media.faults import Fault

from .covers import BackendCover, ConnectionCover, EventsCover, caught_by


class _Each(EventsCover):
    """Events that are changed one by one: `change(event)` gives those that are told in its place."""

    async def hand_out(self) -> AsyncIterator[Any]:
        async for event in self.inner:
            for changed in self.change(event):
                yield changed

    def change(self, event: Any) -> list[Any]:
        return [event]


@caught_by("C3", "M40", "C9")
class TellsEverythingTwice(_Each):
    def change(self, event: Any) -> list[Any]:
        return [event, event]


@caught_by("C3", "M2")
class TellsNothingOfJoins(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, ParticipantJoined) else [event]


@caught_by("C2")
class TellsOfThoseWhoWereThere(EventsCover):
    async def hand_out(self) -> AsyncIterator[Any]:
        yield ParticipantJoined(ParticipantInfo("ann"))
        async for event in self.inner:
            yield event


@caught_by("C8", "M3", "C86", "C87", "C88", "C89", "C85", "C13", "M39", "S17")
class GivesNoReasons(_Each):
    def change(self, event: Any) -> list[Any]:
        ended = isinstance(event, StateChanged) and event.state is ConnectionState.DISCONNECTED
        return [replace(event, reason=DisconnectReason.UNKNOWN)] if ended else [event]


@caught_by("C8", "C78")
class SaysMoreAfterTheEnd(_Each):
    def change(self, event: Any) -> list[Any]:
        ended = isinstance(event, StateChanged) and event.state is ConnectionState.DISCONNECTED
        return [event, ParticipantLeft("ghost")] if ended else [event]


@caught_by("C120")
class TellsOfTheFirstConnect(EventsCover):
    async def hand_out(self) -> AsyncIterator[Any]:
        yield StateChanged(ConnectionState.CONNECTED)
        async for event in self.inner:
            yield event


@caught_by("C17", "C38")
class SubscribesWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, TrackSubscribed) else [event]


@caught_by("C17", "C26")
class ForgetsTheNamesOfTracks(_Each):
    def change(self, event: Any) -> list[Any]:
        if isinstance(event, TrackPublished | TrackSubscribed):
            return [replace(event, track=replace(event.track, name="", id=event.track.id + "x"))]
        return [event]


@caught_by("C27", "C25", "M22")
class UnpublishesWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, TrackUnpublished) else [event]


@caught_by("C31", "M35")
class MixesUpWhoMutes(_Each):
    def change(self, event: Any) -> list[Any]:
        return [replace(event, by_server=not event.by_server)] if isinstance(event, TrackMuted) else [event]


@caught_by("C32", "M36", "C34")
class UnmutesWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, TrackUnmuted) else [event]


@caught_by("C40", "C41", "M26")
class UnsubscribesWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, TrackUnsubscribed) else [event]


@caught_by("M21", "C76")
class ChangesGrantsWithoutAWord(_Each):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, GrantChanged) else [event]


@caught_by("C75")
class TellsTracksOutOfOrder(_Each):
    def begin(self) -> None:
        self.held: list[Any] = []

    def change(self, event: Any) -> list[Any]:
        if isinstance(event, TrackPublished):
            self.held = [event]
            return []
        held, self.held = self.held, []
        return [event, *held]


@caught_by("C76")
class KnowsLessThanItTells(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.before: Any = dict(self.inner.participants)

    @property
    def participants(self) -> Any:
        shown, self.before = self.before, dict(self.inner.participants)
        return shown


@caught_by("C77")
class DropsEventsSilently(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        capacity = 1_000
        return await super().connect(ticket, replace(options, event_capacity=capacity) if options else None)


@caught_by("C79")
class TellsLate(EventsCover):
    async def hand_out(self) -> AsyncIterator[Any]:
        async for event in self.inner:
            await self.clock.sleep(5.0)
            yield event


@caught_by("C67", "C68", "C103")
class SendsDataTwice(ConnectionCover):
    async def send_data(self, *args: Any, **options: Any) -> None:
        await self.inner.send_data(*args, **options)
        await self.inner.send_data(*args, **options)


@caught_by("C67")
class SendsDataBackToo(ConnectionCover):
    async def send_data(self, payload: bytes, **options: Any) -> None:
        await self.inner.send_data(payload, **options)
        await self.backend.inner.control.send_data(self.inner.room, payload, to=[self.inner.identity])


@caught_by("C68")
class SendsDataOutOfOrder(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.held: tuple[bytes, Any] | None = None

    async def send_data(self, payload: bytes, **options: Any) -> None:
        if self.held is None and payload == b"7":
            self.held = payload, options
            return
        await self.inner.send_data(payload, **options)
        if self.held is not None:
            (late, more), self.held = self.held, None
            await self.inner.send_data(late, **more)


@caught_by("C69")
class SendsToEverybody(ConnectionCover):
    async def send_data(self, payload: bytes, **options: Any) -> None:
        await self.inner.send_data(payload, **{**options, "to": None})


@caught_by("C70")
class RefusesUnknownReceivers(ConnectionCover):
    async def send_data(self, payload: bytes, **options: Any) -> None:
        if set(options.get("to") or ()) - set(self.inner.participants):
            raise NotFound("somebody is not here")
        await self.inner.send_data(payload, **options)


@caught_by("C71", "M49", "M47", "C67", "S18")
class MixesUpData(_Each):
    def change(self, event: Any) -> list[Any]:
        return [replace(event, topic="?", sender="?")] if isinstance(event, DataReceived) else [event]


@caught_by("C72")
class CallsAllDataReliable(_Each):
    def change(self, event: Any) -> list[Any]:
        return [replace(event, reliable=True)] if isinstance(event, DataReceived) else [event]


@caught_by("C73")
class CutsDataShort(ConnectionCover):
    async def send_data(self, payload: bytes, **options: Any) -> None:
        try:
            await self.inner.send_data(payload, **options)
        except TooLarge:
            await self.inner.send_data(payload[:10], **options)


@caught_by("C74", "M28")
class LetsEverybodySendData(ConnectionCover):
    async def send_data(self, payload: bytes, **options: Any) -> None:
        try:
            await self.inner.send_data(payload, **options)
        except Forbidden:
            await self.backend.inner.control.send_data(self.inner.room, payload, **options)


@caught_by("C80", "C81", "C82", "C85", "S39")
class EndsInsteadOfResuming(BackendCover):
    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        if fault is Fault.SIGNAL_DROP:
            await self.inner.inject(Fault.SERVER_LEAVE, room, identity)
        else:
            await self.inner.inject(fault, room, identity, **parameters)


@caught_by("C83", "C84", "S39", "S42")
class NeverComesBack(BackendCover):
    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        await self.inner.inject(fault, room, identity, **({"seconds": 1e6} if "seconds" in parameters else parameters))


@caught_by("C84")
class CountsNoReconnects(ConnectionCover):
    async def statistics(self) -> Any:
        return replace(await self.inner.statistics(), reconnects=0)


@caught_by("C102", "C103", "C104", "C33")
class CountsNothing(ConnectionCover):
    async def statistics(self) -> Any:
        return replace(await self.inner.statistics(), sent=(), received=(), data_sent=0, data_received=0, events=None)
