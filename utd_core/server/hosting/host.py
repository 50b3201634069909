"""The projects of one server: each has an engine of its own, on one database and one media backend.

- Of all nodes on the database one at a time has a project's engine open. The others ask it, over `bus`; with a bus of
  its own a node is alone, and another one on the same database can only wait until it ends.
- A project's engine is opened when it is first asked for, or when one of its deadlines falls due, or an event that its
  webhooks have not taken yet, by whichever node that happens to. It sees the rows and the media rooms of its project,
  and no others.
- Where `idle` is given, an engine that nobody needs for so many seconds is closed: nobody is in a room or call of it,
  follows anything, or asks for anything, and no deadline is near. Its project costs next to nothing then, and any node
  may open it again.
- What another process changes (`utd project suspend`, a new secret) is noticed within `interval` seconds; a project
  that was just made, at its first request.
- A project that is deleted has its engine closed. The media rooms of one that is suspended or deleted are emptied;
  what a suspended one has is kept, and its deadlines fire as ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Self

import anyio

from ...bus import LocalMessages, MessageBus
from ...concurrency import Clock, Closeable, SystemClock, TaskScope
from ...engine import Engine, EngineSettings
from ...engine.identity.tokens import UserTokens, token_key
from ...engine.instruments import Instrument
from ...errors import Closed, Unavailable, UTDStreamException
from ...hooks import default_manager
from ...media.backend import MediaBackend
from ...model.command import Actor
from ...store.leases import Fence
from ...store.sql_store import SqlStore
from ..cluster import Cluster, ClusterSettings, Reach, Relay, Tenure
from ..http.rates import Rates
from ..projects import Hosted, Project
from ..webhooks import Webhooks, WebhookSettings
from .directory import Directory, Entry, Tenant
from .running import Running
from .silence import OF_DELETED, Silence

log = logging.getLogger("utd_core.server")

INTERVAL = 2.0
"""Seconds between two looks for changes."""
_MISS_INTERVAL = 0.5
"""Seconds between two looks because somebody asked for a project that nobody knows."""


class _Place:
    """A project: what is known of it, the way to its engine, and both together as they are handed out. `was_found`: the
    engine was reached once."""

    __slots__ = ("entry", "good_until", "hosted", "is_troubled", "opening", "relay", "was_found")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.relay: Relay | None = None
        self.opening = asyncio.Lock()
        self.was_found = False
        self.hosted: Hosted | None = None
        self.good_until = inf
        self.is_troubled = False


class Hosting(Closeable):
    """The projects that `directory` knows, with what they have in the database of `store`; a `Host`. Open inside
    `async with`.

    `store` stays its owner's to close, and so does a backend that is handed in. `settings` are those of every engine,
    or say what a project's are. `rates`: those of this node, which count the commands of the other nodes, too. Opening
    raises what the store and the media plugin raise.
    """

    def __init__(
        self,
        directory: Directory,
        store: SqlStore,
        media: str | MediaBackend = "mock",
        *,
        media_settings: Mapping[str, Any] | None = None,
        settings: EngineSettings | Callable[[Project], EngineSettings] | None = None,
        webhooks: WebhookSettings | None = None,
        clock: Clock | None = None,
        instrument: Instrument | None = None,
        interval: float = INTERVAL,
        bus: MessageBus | None = None,
        cluster: ClusterSettings | None = None,
        idle: float | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._media = media
        self._media_settings = media_settings
        self._settings = settings or EngineSettings()
        self._webhook_settings = webhooks
        self._clock = clock or SystemClock()
        self._instrument = instrument
        self._interval = interval
        self._idle = idle
        self._rates = rates
        self._own_bus: MessageBus | None = None
        if bus is None:
            bus = self._own_bus = LocalMessages()
        self._tenure = Tenure(store.leases(self._clock), clock=self._clock, reach=partial(_reach, bus))
        self.cluster = Cluster(bus, self._tenure, clock=self._clock, settings=cluster)
        self._scope = TaskScope("hosting")
        self._backend: MediaBackend | None = None
        self._silence: Silence
        self._places: dict[str, _Place] = {}
        self._app_ids: dict[str, str] = {}
        # Those of deleted projects too, until they are closed.
        self._relays: set[Relay] = set()
        self._looking = asyncio.Lock()
        self._looked_at = 0.0
        # As many as were seen; None: nobody has looked.
        self._changes: int | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Learn of every project, and look after them from now on. If it fails, nothing is left open."""
        self._check_open()
        try:
            await self._begin()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise

    async def _begin(self) -> None:
        await self._store.open()
        self._backend = await default_manager().make_backend(self._media, self._media_settings, self._clock)
        self._silence = Silence(self._backend.control, self._clock)
        if self._own_bus is not None:
            await self._own_bus.open()
        await self._tenure.open()
        await self.cluster.open()
        await self._scope.open()
        self._looked_at = self._clock.monotonic()
        for entry in await self._directory.all():
            self._see(entry)
        self._scope.start(self._every_interval, self._look, name="changes")
        self._scope.start(self._every_interval, self._wake_those_due, name="deadlines")
        self._scope.start(self._every_interval, self._silence.keep, name="silence")
        if self._idle is not None:
            self._scope.start(self._every_interval, partial(self._rest, self._idle), name="rest")

    async def aclose(self) -> None:
        """Deliver what webhooks are due, for a while, and close every engine. Idempotent."""
        self._closed = True
        await self._scope.aclose()
        await asyncio.gather(*map(self._end, list(self._relays)))
        self._places.clear()
        await self._tenure.aclose()
        await self.cluster.aclose()
        if self._own_bus is not None:
            await self._own_bus.aclose()
        if self._backend is not None and self._backend is not self._media:
            await self._backend.aclose()

    @property
    def is_open(self) -> bool:
        return self._scope.is_open

    @property
    def app_ids(self) -> list[str]:
        """Of all projects that are known."""
        return list(self._places)

    @property
    def running(self) -> dict[str, Running]:
        """Those that are at work here now, by app id."""
        return {
            app_id: near.running
            for app_id, place in self._places.items()
            if place.relay is not None and (near := place.relay.near) is not None
        }

    @property
    def cannot_write(self) -> bool:
        """Whether the database took nothing of what this node wanted to write last."""
        return self._tenure.is_kept_out or any(each.engine.is_refused for each in self.running.values())

    async def is_alone_in_that(self) -> bool:
        """Whether this node can write nothing, and another one can. Raises `StoreFailed`."""
        return await self._tenure.is_alone_kept_out()

    @property
    def has_webhooks(self) -> bool:
        """Whether anything that is at work here is told to somebody."""
        return any(place.hosted is not None and place.hosted.project.webhooks for place in self._places.values())

    async def find(self, app_id: str) -> Hosted | None:
        self._check_open()
        place = self._places.get(app_id)
        if place is None:
            await self._look_again()
            place = self._places.get(app_id)
        return None if place is None else place.hosted or await self._host(app_id, place)

    async def find_by_key(self, key: str) -> Hosted | None:
        self._check_open()
        if key not in self._app_ids:
            await self._look_again()
        app_id = self._app_ids.get(key)
        return None if app_id is None else await self.find(app_id)

    def receive_media_webhook(self, body: bytes, headers: Mapping[str, str]) -> None:
        """As `Engine.receive_media_webhook`, for every engine that is at work on this node."""
        self._check_open()
        assert self._backend is not None
        self._backend.control.receive(body, headers)

    async def _host(self, app_id: str, place: _Place) -> Hosted | None:
        """The project as it is now, with the way to its engine, which is opened where nobody has done so."""
        if place.relay is not None and place.was_found:
            return self._renew(place, place.relay)
        try:
            async with place.opening:
                if place.relay is None:
                    place.relay = await self._relay(app_id, place)
            await place.relay.find()
        except Closed:
            if self._places.get(app_id) is place:
                raise
        place.was_found = True
        # It may have been changed, or deleted, meanwhile.
        return await self.find(app_id)

    def _tenant(self, place: _Place) -> Tenant:
        """Raises `Unavailable`; the log says why, once, as it is nobody's business who asks for the project."""
        try:
            return place.entry.tenant(self._clock.now())
        except Unavailable as error:
            if not place.is_troubled:
                log.error("project %s cannot be served: %s", place.entry.app_id, error)
            place.is_troubled = True
            raise Unavailable("this project cannot be served at the moment; the server's log says why") from None

    def _renew(self, place: _Place, relay: Relay) -> Hosted:
        """What is handed out from now on. Raises `Unavailable`."""
        tenant = self._tenant(place)
        place.hosted, place.good_until = Hosted(tenant.project, relay), tenant.good_until
        if relay.near is not None:
            relay.near.running.webhooks.update(tenant.project.webhooks)
        return place.hosted

    async def _relay(self, app_id: str, place: _Place) -> Relay:
        """The way to a project's engine, which is not found yet. Raises `Unavailable`, `StoreFailed` or `Closed`."""
        tenant = self._tenant(place)
        store = self._store.scoped(app_id)
        await store.open()
        key = tenant.token_key or await token_key(store)
        tokens = UserTokens(app_id, key, self._clock, self._settings_of(tenant.project).user_token_ttl)

        async def run(fence: Fence) -> Running:
            return await self._run(self._tenant(place), fence)

        relay = self.cluster.relay(app_id, store, tokens, run, partial(self._admit_forwarded, place))
        self._relays.add(relay)
        await relay.open()
        if self._closed or self._places.get(app_id) is not place:
            await self._end(relay)
            raise Closed(f"project {app_id!r} is not hosted here any more")
        return relay

    def _admit_forwarded(self, place: _Place, actor: Actor) -> None:
        """Let in a command that another node was given. Raises `RateLimited`, and `Unavailable` as `find` does."""
        if self._rates is None or place.relay is None:
            return
        # Nobody may have asked this node for the project since it was changed.
        self._rates.admit_forwarded(place.hosted or self._renew(place, place.relay), actor)

    async def _run(self, tenant: Tenant, fence: Fence) -> Running:
        """Open the engine of a project, as its holder. Raises what that raises."""
        assert self._backend is not None
        project = tenant.project
        webhooks = Webhooks(project.webhooks, self._webhook_settings, clock=self._clock)
        engine = Engine(
            self._backend,
            store=self._store.scoped(project.app_id, fence=fence),
            clock=self._clock,
            app_id=project.app_id,
            settings=self._settings_of(project),
            instrument=self._instrument,
            outlets=webhooks,
            token_key=tenant.token_key,
        )
        running = Running(engine, webhooks)
        await running.open()
        return running

    def _settings_of(self, project: Project) -> EngineSettings:
        return self._settings if isinstance(self._settings, EngineSettings) else self._settings(project)

    async def _end(self, relay: Relay) -> None:
        await relay.aclose()
        self._relays.discard(relay)

    async def _every_interval(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(self._interval)
            try:
                await look()
            except Closed:
                return
            except UTDStreamException as error:
                log.warning("the projects could not be looked after; again in %s s: %s", self._interval, error)

    async def _look_again(self) -> None:
        """Look, unless somebody has done it a moment ago; however many ask for what is not there."""
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= _MISS_INTERVAL:
                await self._look_now()

    async def _look(self) -> None:
        """Notice what has changed. One after the other: an older answer would take a new project for a deleted one."""
        async with self._looking:
            await self._look_now()

    async def _look_now(self) -> None:
        began = self._clock.monotonic()
        # Read before the versions: what changes between the two is looked at again.
        changes = await self._directory.changes()
        if changes != self._changes:
            await self._notice_changes()
            self._changes = changes
        now = self._clock.now()
        for place in self._places.values():
            if place.good_until <= now:
                place.hosted = None
        self._looked_at = began

    async def _notice_changes(self) -> None:
        present = await self._directory.versions()
        for app_id in self._places.keys() - present.keys():
            self._forget(app_id)
        for app_id, version in present.items():
            place = self._places.get(app_id)
            if place is None or place.entry.version != version:
                entry = await self._directory.entry(app_id)
                if entry is not None:
                    self._see(entry)

    def _see(self, entry: Entry) -> None:
        place = self._places.get(entry.app_id)
        if place is not None and place.entry.version.key != entry.version.key:
            # Deleted and made anew under the same name: whoever talks there is of the old one.
            self._forget(entry.app_id, silent_for=0)
        elif not entry.suspended:
            self._silence.end(entry.app_id)
        place = self._places.get(entry.app_id)
        if place is None:
            place = self._places[entry.app_id] = _Place(entry)
        place.entry, place.hosted, place.is_troubled = entry, None, False
        if entry.suspended:
            self._silence.begin(entry.app_id)
        self._app_ids[entry.version.key] = entry.app_id
        if place.relay is not None and place.was_found:
            # Now: who is told what happens may be others, and nobody may come to ask. Who cannot read it has said so.
            with suppress(Unavailable):
                self._renew(place, place.relay)

    def _forget(self, app_id: str, *, silent_for: float = OF_DELETED) -> None:
        place = self._places.pop(app_id)
        self._app_ids.pop(place.entry.version.key, None)
        self._silence.begin(app_id, seconds=silent_for)
        if place.relay is not None:
            self._scope.start(self._end, place.relay)

    async def _wake_those_due(self) -> None:
        """Open the engines of projects whose deadlines have come; nobody may be there to ask for them."""
        for app_id in await self._store.projects.due(self._clock.now()):
            place = self._places.get(app_id)
            if place is None:
                continue
            try:
                # Whoever holds it sees to its deadlines; so somebody has to.
                if place.relay is None:
                    await self._host(app_id, place)
                else:
                    await place.relay.find()
            except UTDStreamException as error:
                if not place.is_troubled:
                    log.warning("project %s has something to do and cannot be opened: %s", app_id, error)
                place.is_troubled = True

    async def _rest(self, idle: float) -> None:
        """Close the engines that nobody needs."""
        for relay in list(self._relays):
            relay.rest(idle)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the server was closed")


def _reach(bus: MessageBus) -> Reach:
    figures = bus.statistics()
    return Reach(figures.connected, figures.lasting)
