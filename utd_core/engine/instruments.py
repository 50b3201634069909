"""What an engine shows of its work to those who measure or trace it.

Nothing is installed by default, and an engine without an instrument takes none of these ways.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol, cast

from ..media.backend import MediaControl
from ..media.events import Notification
from ..media.forwarding import ForwardingControl
from ..media.signalling import SignallingDesk

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


class ObservedControl(ForwardingControl):
    """The control half of a backend, each call of which is shown to an instrument."""

    def __init__(self, control: MediaControl, instrument: Instrument) -> None:
        self._control = control
        self._media = instrument.media

    async def forward(self, method: str, *arguments: Any, **named: Any) -> Any:
        with self._media(method):
            return await getattr(self._control, method)(*arguments, **named)

    def notifications(self) -> AsyncIterator[Notification]:
        return self._control.notifications()

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._control.receive(body, headers)

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        return self._control.signalling(room, identity)
