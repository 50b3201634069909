"""Backends that connect, close and cancel badly."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import replace
from typing import Any

from utd_core.errors import Closed, ConnectFailed, DeadlineExceeded
from utd_core.media.backend import ConnectOptions

from .covers import BackendCover, ConnectionCover, ControlCover, TrackCover, caught_by

_keep: list[Any] = []


@caught_by("C1", "M14")
class MixesUpNames(ConnectionCover):
    @property
    def identity(self) -> str:
        return "somebody"


@caught_by("C2", "C7")
class LearnsOfTheOthersLate(ConnectionCover):
    def begin(self) -> None:
        super().begin()
        self.known_before = set(self.inner.participants)

    @property
    def participants(self) -> Any:
        return {who: info for who, info in self.inner.participants.items() if who not in self.known_before}


@caught_by("C4", "C1", "S14", "S17", "S29")
class IsItsOwnParticipant(ConnectionCover):
    @property
    def participants(self) -> Any:
        return {**self.inner.participants, self.inner.identity: self.inner.local_participant}


@caught_by("C5")
class IgnoresTheDeadline(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        options = options or ConnectOptions()
        return await super().connect(ticket, replace(options, deadline=options.deadline * 5))


@caught_by("C5", "C6")
class FailsWithAForeignTimeout(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        try:
            return await super().connect(ticket, options)
        except DeadlineExceeded as error:
            raise TimeoutError from error


@caught_by("C5", "C107")
class WaitsInRealTime(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        options = options or ConnectOptions()
        connecting = asyncio.ensure_future(super().connect(ticket, replace(options, deadline=1_000.0)))
        try:
            return await asyncio.wait_for(connecting, options.deadline)
        except TimeoutError:
            raise DeadlineExceeded("it took too long") from None


@caught_by("C10")
class LeavesOnlyOnce(ConnectionCover):
    left = False

    async def aclose(self) -> None:
        if self.left:
            raise RuntimeError("left already")
        self.left = True
        await self.inner.aclose()


@caught_by("C8", "C9", "C100")
class LeavesWithoutAWord(ConnectionCover):
    async def aclose(self) -> None:
        await self.clock.sleep(0)


@caught_by("C11")
class AnswersAfterLeaving(ConnectionCover):
    async def statistics(self) -> Any:
        try:
            return await self.inner.statistics()
        except Closed:
            return None


@caught_by("C12", "M42", "S12", "S16")
class LetsNobodyBack(ControlCover):
    def begin(self) -> None:
        self.issued: set[tuple[str, str]] = set()

    async def issue_join(self, room: str, identity: str, **more: Any) -> Any:
        ticket = await self.inner.issue_join(room, identity, **more)
        if (room, identity) in self.issued:
            return replace(ticket, token="once only")
        self.issued.add((room, identity))
        return ticket


@caught_by("C13", "C14", "S12", "S17")
class RefusesTheSecondConnection(BackendCover):
    def __init__(self, inner: Any, clock: Any) -> None:
        super().__init__(inner, clock)
        self.connected: dict[tuple[str, str], Any] = {}

    async def connect(self, ticket: Any, options: Any = None) -> Any:
        connection = await super().connect(ticket, options)
        place = connection.room, connection.identity
        if place in self.connected:
            raise ConnectFailed("this identity is here already")
        self.connected[place] = connection
        return connection


@caught_by("C15", "M61")
class StaysOpen(BackendCover):
    async def aclose(self) -> None:
        _keep.append(self)


@caught_by("C16")
class ClosesOnlyOnce(BackendCover):
    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        await self.inner.aclose()


@caught_by("C94", "C105", "M1")
class LeaksATask(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        _keep.append(asyncio.ensure_future(asyncio.Event().wait()))
        return await super().connect(ticket, options)

    async def aclose(self) -> None:
        _keep.append(asyncio.ensure_future(asyncio.Event().wait()))
        await self.inner.aclose()


@caught_by("C105")
class LeaksAThread(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        threading.Thread(target=time.sleep, args=(5.0,), daemon=True).start()
        return await super().connect(ticket, options)


@caught_by("C105")
class LeaksADescriptor(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        _keep.extend(os.pipe())
        return await super().connect(ticket, options)


@caught_by("C3", "C17")
class BlocksTheLoop(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        time.sleep(0.001)  # noqa: ASYNC251  # the defect
        return await super().connect(ticket, options)


@caught_by("C17")
class BlocksTheLoopAndHidesIt(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            time.sleep(0.001)  # noqa: ASYNC251  # the defect
        except Exception:  # noqa: BLE001  # and how it is hidden
            return await super().publish(options)
        return await super().publish(options)


@caught_by("C94")
class GoesOnConnectingWhenCancelled(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        return await asyncio.shield(asyncio.ensure_future(super().connect(ticket, options)))


@caught_by("C94")
class LosesTheConnectionWhenCancelled(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        connection = await super().connect(ticket, options)
        await asyncio.sleep(0)
        return connection


@caught_by("C95")
class LosesTheTrackWhenCancelled(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        track = await super().publish(options)
        await asyncio.sleep(0)
        return track


@caught_by("C96")
class BreaksWhenCancelled(ConnectionCover):
    async def send_data(self, *args: Any, **options: Any) -> None:
        try:
            await self.inner.send_data(*args, **options)
        except asyncio.CancelledError:
            await self.inner.aclose()
            raise


@caught_by("C97")
class ForgetsToLeaveWhenCancelled(ConnectionCover):
    leaving = False

    async def aclose(self) -> None:
        if not self.leaving:
            self.leaving = True
            await asyncio.sleep(0)
            await self.inner.aclose()


@caught_by("C98")
class WaitsForEverWhenClosed(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            return await super().publish(options)
        except Closed:
            while True:
                await self.clock.sleep(1.0)


@caught_by("C98")
class CancelsItsCallersWhenClosed(ConnectionCover):
    async def statistics(self) -> Any:
        await asyncio.sleep(0)
        try:
            return await self.inner.statistics()
        except Closed:
            raise asyncio.CancelledError from None


@caught_by("C99")
class LetsAForeignErrorOutOfAClosedConnect(BackendCover):
    async def connect(self, ticket: Any, options: Any = None) -> Any:
        try:
            return await super().connect(ticket, options)
        except Closed as error:
            raise ConnectionResetError from error


@caught_by("C101")
class PublishesIntoThinAir(ConnectionCover):
    async def publish(self, options: Any) -> Any:
        try:
            return await super().publish(options)
        except Exception as error:
            raise OSError("gone") from error


@caught_by("C28", "C101")
class WritesIntoThinAir(TrackCover):
    async def write(self, frame: Any) -> None:
        try:
            await self.inner.write(frame)
        except Closed:
            return


@caught_by("M62")
class HoldsALockWhenCancelled(ControlCover):
    locked = False

    async def issue_join(self, *args: Any, **more: Any) -> Any:
        while self.locked:
            await self.clock.sleep(1.0)
        self.locked = True
        ticket = await self.inner.issue_join(*args, **more)
        self.locked = False
        return ticket


@caught_by("M63")
class ForeignErrorsOnClosing(ControlCover):
    async def list_rooms(self) -> Any:
        try:
            return await self.inner.list_rooms()
        except Closed as error:
            raise RuntimeError from error
