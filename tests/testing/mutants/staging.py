"""Backends on which the sessions do not play."""

from __future__ import annotations

from typing import Any

from utd_core.errors import Closed, ConnectFailed, MediaError
from utd_core.media.faults import Fault
from utd_core.model.permission import Grant, TrackSource

from .covers import BackendCover, ConnectionCover, ControlCover, QuietAboutGrants, TrackCover, caught_by


@caught_by("S3", "S22")
class GrantsEverythingInTickets(QuietAboutGrants):
    async def issue_join(self, room: str, identity: str, **more: Any) -> Any:
        return await self.inner.issue_join(room, identity, **{**more, "grant": Grant(publish=frozenset(TrackSource))})


@caught_by("S4", "S26")
class SwapsVoices(ConnectionCover):
    def read(self, track_id: str, **options: Any) -> Any:
        tracks = {info.id: info for who in self.inner.participants.values() for info in who.tracks}
        alike = [each for each, info in tracks.items() if info.source is tracks[track_id].source]
        return super().read(alike[alike.index(track_id) - 1], **options)


@caught_by("S6", "S15", "S24")
class EndsTracksAfterAWhile(TrackCover):
    def begin(self) -> None:
        self.frames = 0

    async def write(self, frame: Any) -> None:
        self.frames += 1
        if self.frames > 20:
            await self.inner.unpublish()
            raise Closed("that was enough")
        await self.inner.write(frame)


@caught_by("S11")
class FailsGrantsForGood(ControlCover):
    def begin(self) -> None:
        self.has_failed = False

    async def apply_grant(self, *args: Any) -> None:
        if self.has_failed:
            raise MediaError("it did not work before")
        try:
            await self.inner.apply_grant(*args)
        except MediaError:
            self.has_failed = True
            raise


@caught_by("S12", "S16", "S17", "S37", "S40", "S41")
class ConnectsEverybodyOnlyOnce(BackendCover):
    def __init__(self, inner: Any, clock: Any) -> None:
        super().__init__(inner, clock)
        self.known: set[str] = set()

    async def connect(self, ticket: Any, options: Any = None) -> Any:
        connection = await super().connect(ticket, options)
        if connection.identity in self.known:
            await connection.aclose()
            raise ConnectFailed("once is enough")
        self.known.add(connection.identity)
        return connection


@caught_by("S19", "S38")
class KeepsRoomsOpen(ControlCover):
    async def close_room(self, room: str) -> None:
        del room


@caught_by("S16", "S31", "S32", "S33", "S34")
class LeavesSlowly(ConnectionCover):
    async def aclose(self) -> None:
        await self.clock.sleep(25.0)
        await self.inner.aclose()


@caught_by("S40", "S41")
class StaysWhenTheServerEnds(BackendCover):
    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        if fault is not Fault.SERVER_LEAVE:
            await self.inner.inject(fault, room, identity, **parameters)
