"""The rooms of one project on a media backend that it may share with other projects.

- A media room is named after its room or call; those of all projects but `embedded` have the app id before that:
  `$shop/lobby`. No room's name begins with `$`, and no app id holds a slash, so no two are alike.
- What the backend tells of other rooms is none of this engine's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from ...media.backend import MediaControl
from ...media.events import Notification
from ...media.forwarding import ForwardingControl
from ...media.signalling import SignallingDesk
from ...model.identifiers import DEFAULT_PROJECT

_MARK = "$"


def prefix_of(app_id: str) -> str:
    """What the media rooms of a project begin with."""
    return "" if app_id == DEFAULT_PROJECT else f"{_MARK}{app_id}/"


def app_id_of(room: str) -> str:
    """The project that a room of the backend is of."""
    return room.removeprefix(_MARK).partition("/")[0] if room.startswith(_MARK) else DEFAULT_PROJECT


class ProjectControl(ForwardingControl):
    """The control half of a backend, as a project has it: with its own rooms, by their own names."""

    def __init__(self, control: MediaControl, app_id: str) -> None:
        self._control = control
        self._prefix = prefix_of(app_id)

    def own(self, room: str) -> str | None:
        """What the project calls a room of the backend; None where it is another's."""
        if not self._prefix:
            return None if room.startswith(_MARK) else room
        return room.removeprefix(self._prefix) if room.startswith(self._prefix) else None

    async def forward(self, method: str, *arguments: Any, **named: Any) -> Any:
        room, *others = arguments
        return await getattr(self._control, method)(self._prefix + room, *others, **named)

    async def list_rooms(self) -> list[str]:
        return [own for room in await self._control.list_rooms() if (own := self.own(room)) is not None]

    def notifications(self) -> AsyncIterator[Notification]:
        return _Own(self._control.notifications(), self)

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._control.receive(body, headers)

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        return self._control.signalling(self._prefix + room, identity)


class _Own:
    """Those of all notifications that are about a project's own rooms."""

    def __init__(self, every: AsyncIterator[Notification], control: ProjectControl) -> None:
        self._every = every
        self._control = control

    def __aiter__(self) -> AsyncIterator[Notification]:
        return self

    async def __anext__(self) -> Notification:
        while True:
            notification = await anext(self._every)
            own = self._control.own(notification.room)
            if own == notification.room:
                return notification
            if own is not None:
                return replace(notification, room=own)
