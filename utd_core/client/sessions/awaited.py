"""Answers that open devices: who asked to speak is heard as soon as somebody says yes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...concurrency import TaskScope
from ...errors import UTDStreamException
from ...model.request import RequestState
from ...model.room import Room
from ..media.devices import Opening

log = logging.getLogger("utd_core.client")


@dataclass(frozen=True, slots=True)
class _Hope:
    """What is opened when a request is accepted, unless something came between since `epoch`."""

    epoch: int
    opening: Opening


class AwaitedAnswers:
    """The requests of one session that wait for their answer. `open_devices(epoch, opening)` is the session's."""

    def __init__(self, scope: TaskScope, open_devices: Callable[[int, Opening], Awaitable[None]]) -> None:
        self._scope = scope
        self._open_devices = open_devices
        self._hopes: dict[int, _Hope] = {}
        self._answered: set[int] = set()

    def add(self, request_id: int, epoch: int, opening: Opening) -> None:
        """Open devices when this request is accepted. Takes over what is given for them."""
        self._hopes[request_id] = _Hope(epoch, opening)

    def look(self, room: Room) -> None:
        """The room has changed: act on what was answered."""
        for request_id in self._hopes.keys() - self._answered:
            if request_id in room.requests or request_id >= room.next_request or not self._scope.is_open:
                continue
            ended = room.ended_requests.get(request_id)
            accepted = ended is not None and ended.state is RequestState.ACCEPTED
            self._answered.add(request_id)
            self._scope.start(self._fulfil if accepted else self._give_up, request_id, name="answer")

    async def forget(self, request_id: int) -> None:
        """Open nothing for this request, if it was not answered before."""
        if request_id not in self._answered:
            await self._give_up(request_id)

    async def forget_all(self) -> None:
        """Open nothing any more."""
        for request_id in list(self._hopes):
            await self._give_up(request_id)

    def __len__(self) -> int:
        return len(self._hopes)

    async def _fulfil(self, request_id: int) -> None:
        hope = self._hopes.get(request_id)
        if hope is None:
            return
        try:
            await self._open_devices(hope.epoch, hope.opening)
        except UTDStreamException as error:
            log.info("request %d was accepted, but nothing is published: %s", request_id, error)
            await self._give_up(request_id)
        else:
            self._drop(request_id)

    async def _give_up(self, request_id: int) -> None:
        hope = self._drop(request_id)
        if hope is not None:
            await hope.opening.aclose()

    def _drop(self, request_id: int) -> _Hope | None:
        self._answered.discard(request_id)
        return self._hopes.pop(request_id, None)
