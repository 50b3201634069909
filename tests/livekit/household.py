"""Four who hum: ann and bob on the seats of one room, cat and dan in a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from utd_core.client import UTDAudioRoomSession, UTDCallSession, UTDCallStatus, UTDStreamClient

from .hearing import hears

ROOM = "lounge"


@dataclass(frozen=True)
class Household:
    """`rooms`: the sessions of ann and bob. `calls`: those of cat, who called, and dan."""

    rooms: list[UTDAudioRoomSession]
    calls: list[UTDCallSession]

    @property
    def sessions(self) -> list[UTDAudioRoomSession | UTDCallSession]:
        return [*self.rooms, *self.calls]

    async def everybody_hears(self) -> None:
        """Wait until each hears the other's hum."""
        (ann, bob), (cat, dan) = self.rooms, self.calls
        await asyncio.gather(hears(ann, "bob"), hears(bob, "ann"), hears(cat, "dan"), hears(dan, "cat"))

    def check_places(self) -> None:
        """Everybody is where he was."""
        assert [None if room.seat is None else room.seat.index for room in self.rooms] == [0, 1]
        assert {call.status.value for call in self.calls} == {UTDCallStatus.ACTIVE}


@asynccontextmanager
async def household(clients: Sequence[UTDStreamClient]) -> AsyncIterator[Household]:
    """`clients`: of ann, bob, cat and dan. They hear each other when this begins."""
    ann, bob, cat, dan = clients
    async with AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        rooms = [
            await stack.enter_async_context(await ann.join_audio_room(ROOM, as_host=True)),
            await stack.enter_async_context(await bob.join_audio_room(ROOM)),
        ]
        await asyncio.gather(*(room.take_seat(number) for number, room in enumerate(rooms)))
        calls = [await stack.enter_async_context(client.call_session("audio_call")) for client in (cat, dan)]
        await calls[0].start("dan")
        (ringing,) = await dan.incoming_calls.wait_for()
        await calls[1].accept(ringing.call_id)
        home = Household(rooms, calls)
        await home.everybody_hears()
        yield home
