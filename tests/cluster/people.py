"""People with the real client: one host, some who take seats and leave them, some who listen.

What they do they keep: what was answered, and what nobody knows about, because the answer was an error that does not
say. And they keep every event that their session hands out, and each time that it says that it may have missed some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count

from utd_core.client import SessionEvent, UTDAudioRoomSession, UTDStreamClient
from utd_core.client.models import Resynced
from utd_core.client.sessions.room_session import RoomOptions
from utd_core.client.state.event_stream import EventReader
from utd_core.errors import Refused, UTDStreamException
from utd_core.model.event import Event
from utd_core.model.room import Room

from .fleet import PROJECT
from .studio import Studio

ROOM = "salon"
PAUSE = 0.05
_MOST_EVENTS = 100_000


class Person:
    """One client in the room, by way of `url`. `done`: what was answered, `unknown`: what may have been done, or not,
    both by what they would show as an event; `runs`: the events since it joined, a new list after each hole that it was
    told of."""

    def __init__(self, identity: str, url: str, studio: Studio) -> None:
        self.identity = identity
        self.done: list[object] = []
        self.unknown: list[object] = []
        self.runs: list[list[Event]] = [[]]
        self.joined_at = 0
        self.client = UTDStreamClient(
            PROJECT.app_id, PROJECT.key, base_url=url, media=studio.backend, identity=identity
        )
        self.session: UTDAudioRoomSession
        self._events: EventReader[SessionEvent]

    async def enter(self) -> None:
        """Come into the room, and hear everything from here on."""
        await self.client.authenticate()
        self.session = await self.client.join_audio_room(ROOM, as_host=self.identity == "host", **self._options())
        place = self.session._mirror.place if self.session._mirror is not None else None
        assert place is not None
        self.joined_at = place.offset
        self._events = self.session.events.reader(capacity=_MOST_EVENTS)

    async def aclose(self) -> None:
        await self.client.aclose()
        if hasattr(self, "session"):
            await self.session.aclose()

    async def run(self, going: asyncio.Event) -> None:
        """Do what this person does, as long as `going` is set."""

    @property
    def mirrored(self) -> Room | None:
        """The room as this client has it; None for one that has lost it."""
        return self.session._mirrored

    @property
    def gaps(self) -> int:
        return len(self.runs) - 1

    def hear(self) -> None:
        """Sort what the session has handed out so far."""
        while (event := self._events.get_nowait()) is not None:
            if isinstance(event, Event):
                self.runs[-1].append(event)
            elif isinstance(event, Resynced) and not event.recovered:
                self.runs.append([])

    def _options(self) -> RoomOptions:
        return {}

    async def _do(self, act: Callable[[], Awaitable[object]], what: object) -> bool:
        """Do something; whether it is known that it is done. Raises `Refused`."""
        try:
            await act()
        except Refused:
            raise
        except UTDStreamException:
            self.unknown.append(what)
            return False
        else:
            self.done.append(what)
            return True
        finally:
            await asyncio.sleep(PAUSE)


class Host(Person):
    """Writes into the room's metadata, each time something else."""

    def _options(self) -> RoomOptions:
        return {"seat_count": 8, "empty_timeout": 3_600.0, "host_left_grace": 3_600.0}

    async def run(self, going: asyncio.Event) -> None:
        for number in count(1):
            if not going.is_set():
                return
            await self._do(partial(self.session.update_metadata, {"n": number}), number)


class Speaker(Person):
    """Takes a seat that is nobody else's, and leaves it; again where it is not known whether that was done."""

    def __init__(self, identity: str, url: str, studio: Studio, seat: int) -> None:
        super().__init__(identity, url, studio)
        self._seat = seat

    async def run(self, going: asyncio.Event) -> None:
        sits = False
        while going.is_set():
            act = self.session.leave_seat if sits else partial(self.session.take_seat, self._seat, publish=False)
            try:
                is_done = await self._do(act, "left" if sits else "taken")
            except Refused:
                if not self.unknown:
                    raise
                is_done = True  # the last time
            sits = sits != is_done


class Listener(Person):
    """Only hears."""
