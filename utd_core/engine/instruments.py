"""What an engine shows of its work to those who measure or trace it.

Nothing is installed by default, and an engine without an instrument takes none of these ways.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, cast

from ..media.attributes import NO_ATTRIBUTES
from ..media.backend import JoinTicket, MediaControl
from ..media.events import Notification, ParticipantInfo
from ..media.signalling import SignallingDesk
from ..model.permission import Grant

Work = AbstractContextManager[None]
"""Entered when the work begins, left when it has ended, with its error if it failed."""


class Instrument(Protocol):
    """Is told of each piece of work, where and while it is done: it must not wait, and not raise."""

    def command(self, name: str, app_id: str) -> Work:
        """A command, from being given to its answer."""
        ...

    def origin(self) -> object:
        """What the transaction of a command that is being given shall be told it was for."""
        ...

    def commit(self, origins: Sequence[object]) -> Work:
        """A transaction, for commands of these origins."""
        ...

    def media(self, call: str) -> Work:
        """A call to the media backend, by the name of the method."""
        ...


class Instruments:
    """Several, as one; the first is the outermost. An `Instrument`."""

    def __init__(self, *instruments: Instrument) -> None:
        self._all = instruments

    def command(self, name: str, app_id: str) -> Work:
        return _together([each.command(name, app_id) for each in self._all])

    def origin(self) -> object:
        return tuple(each.origin() for each in self._all)

    def commit(self, origins: Sequence[object]) -> Work:
        made_here = cast(Sequence[tuple[object, ...]], origins)
        return _together([each.commit([of[n] for of in made_here]) for n, each in enumerate(self._all)])

    def media(self, call: str) -> Work:
        return _together([each.media(call) for each in self._all])


@contextmanager
def _together(works: Sequence[Work]) -> Iterator[None]:
    with ExitStack() as stack:
        for work in works:
            stack.enter_context(work)
        yield


class ObservedControl(MediaControl):
    """The control half of a backend, each call of which is shown to an instrument."""

    def __init__(self, control: MediaControl, instrument: Instrument) -> None:
        self._control = control
        self._media = instrument.media

    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        with self._media("create_room"):
            await self._control.create_room(room, max_participants=max_participants)

    async def close_room(self, room: str) -> None:
        with self._media("close_room"):
            await self._control.close_room(room)

    async def list_rooms(self) -> list[str]:
        with self._media("list_rooms"):
            return await self._control.list_rooms()

    async def issue_join(
        self,
        room: str,
        identity: str,
        *,
        grant: Grant,
        name: str = "",
        ttl: float = 600.0,
        metadata: str = "",
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
    ) -> JoinTicket:
        with self._media("issue_join"):
            return await self._control.issue_join(
                room, identity, grant=grant, name=name, ttl=ttl, metadata=metadata, attributes=attributes
            )

    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        with self._media("update_participant"):
            await self._control.update_participant(room, identity, name=name, metadata=metadata, attributes=attributes)

    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        with self._media("apply_grant"):
            await self._control.apply_grant(room, identity, grant)

    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        with self._media("mute_track"):
            await self._control.mute_track(room, identity, track_id, muted)

    async def remove_participant(self, room: str, identity: str) -> None:
        with self._media("remove_participant"):
            await self._control.remove_participant(room, identity)

    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        with self._media("list_participants"):
            return await self._control.list_participants(room)

    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        with self._media("send_data"):
            await self._control.send_data(room, payload, to=to, topic=topic, reliable=reliable)

    def notifications(self) -> AsyncIterator[Notification]:
        return self._control.notifications()

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._control.receive(body, headers)

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        return self._control.signalling(room, identity)
