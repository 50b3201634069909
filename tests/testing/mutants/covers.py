"""Thin covers over the mock's objects, to be broken in one place each.

A cover passes everything on that it does not define itself. `covered(...)` makes a `BackendSpec` of the mock in
which the given covers take the place of the originals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeVar

from utd_core.concurrency import Clock
from utd_core.media.backend import BackendSpec, MediaBackend
from utd_mock import MockBackend
from utd_mock.capabilities import CAPABILITIES, FAULTS


class Cover:
    """Passes everything on to `inner`. `clock` and `backend` are those of the run."""

    def __init__(self, inner: Any, backend: BackendCover) -> None:
        self.inner = inner
        self.backend = backend
        self.begin()

    def begin(self) -> None:
        """Make what the broken object remembers."""

    @property
    def clock(self) -> Clock:
        return self.backend.clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class ControlCover(Cover):
    """The control half."""


class NoticesCover(ControlCover):
    """Notifications one by one."""

    def notifications(self) -> AsyncIterator[Any]:
        return self.told(self.inner.notifications())

    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for notification in stream:
            yield notification


class QuietAboutGrants(NoticesCover):
    """Does not tell with what grant somebody came, which an engine that knows it would mend at once."""

    async def told(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for notification in stream:
            yield replace(notification, grant=None)


class TrackCover(Cover):
    """A local track."""


class ReaderCover(Cover):
    """A frame reader."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self.inner.__anext__()


class EventsCover(Cover):
    """The queue of events of a connection."""

    handing_out: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.hand_out()

    async def __anext__(self) -> Any:
        if self.handing_out is None:
            self.handing_out = self.hand_out()
        return await anext(self.handing_out)

    def get_nowait(self) -> None:
        """Nothing: every event goes through `hand_out`."""

    def __len__(self) -> int:
        return len(self.inner)

    async def hand_out(self) -> AsyncIterator[Any]:
        """The events, one after the other."""
        async for event in self.inner:
            yield event


class ConnectionCover(Cover):
    """A connection, whose tracks, readers and events are covered as well."""

    def begin(self) -> None:
        self.covered_events = self.backend.covers.get("events", EventsCover)(self.inner.events, self.backend)

    @property
    def events(self) -> Any:
        return self.covered_events

    async def publish(self, options: Any) -> Any:
        return self.cover_track(await self.inner.publish(options))

    def read(self, track_id: str, **options: Any) -> Any:
        return self.cover_reader(self.inner.read(track_id, **options))

    def cover_track(self, track: Any) -> Any:
        return self.backend.covers.get("track", TrackCover)(track, self.backend)

    def cover_reader(self, reader: Any) -> Any:
        return self.backend.covers.get("reader", ReaderCover)(reader, self.backend)


class BackendCover:
    """The backend, whose halves are covered as well."""

    name: ClassVar[str] = "mock"
    capabilities: ClassVar[Any] = CAPABILITIES
    faults: ClassVar[Any] = FAULTS
    covers: ClassVar[Mapping[str, type[Cover]]] = {}

    def __init__(self, inner: MockBackend, clock: Clock) -> None:
        self.inner = inner
        self.clock = clock
        self.covered_control = self.covers.get("control", ControlCover)(inner.control, self)

    @property
    def control(self) -> Any:
        return self.covered_control

    async def connect(self, ticket: Any, options: Any = None) -> Any:
        return self.cover(await self.inner.connect(ticket, options))

    def cover(self, connection: Any) -> Any:
        return self.covers.get("connection", ConnectionCover)(connection, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


# An engine takes it for the backend that it covers; it cannot inherit, or nothing would reach `__getattr__`.
MediaBackend.register(BackendCover)

_KINDS: Mapping[type, str] = {
    ControlCover: "control",
    ConnectionCover: "connection",
    TrackCover: "track",
    ReaderCover: "reader",
    EventsCover: "events",
}


MUTANTS: dict[str, tuple[BackendSpec, tuple[str, ...]]] = {}
"""By the name of the defect: the backend, and the numbers of the behaviours that must show it, each of them."""

C = TypeVar("C", bound=type)


def caught_by(*numbers: str, **declared: Any) -> Callable[[C], C]:
    """Register a broken cover. `declared`: capabilities that differ from the mock's."""

    def register(cover: C) -> C:
        assert cover.__name__ not in MUTANTS, f"two defects are called {cover.__name__}"
        MUTANTS[cover.__name__] = covered(cover, **declared), numbers
        return cover

    return register


def covered(cover: type, *, settings: Mapping[str, Any] | None = None, **declared: Any) -> BackendSpec:
    """The mock with one class covered. `settings`: the mock's own; `declared`: capabilities that differ from it."""
    base = cover if issubclass(cover, BackendCover) else BackendCover
    covers = {kind: cover for known, kind in _KINDS.items() if issubclass(cover, known)}
    capabilities = replace(CAPABILITIES, **declared)
    # A class of its own, because declarations are class variables.
    own = {"covers": {**base.covers, **covers}, "capabilities": capabilities}
    backend_class: Any = type(base.__name__, (base,), own)

    def create(given: Mapping[str, Any], clock: Clock) -> MediaBackend:
        made: MediaBackend = backend_class(MockBackend({**(settings or {}), **given}, clock), clock)
        return made

    return BackendSpec("mock", "the mock, covered", capabilities, create, faults=backend_class.faults)
