"""The engine's face."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import anyio

from ..broker import LocalBroker
from ..broker.base import Recover, Subscription
from ..concurrency import Clock, Closeable, SystemClock, TaskScope
from ..concurrency.pending import Pending
from ..errors import Closed, InvalidInput, UTDStreamException
from ..hooks import default_manager
from ..media.backend import MediaBackend, MediaControl
from ..media.extras import needs_extra
from ..media.signalling import SignallingDesk
from ..model.command import THE_SERVER, Actor, Command
from ..model.identifiers import DEFAULT_PROJECT, check_app_id, check_device, check_identity
from ..store import open_store
from ..store.base import Envelope, Head, Store
from ..store.leases import Fence
from .core import Core
from .deciding.outlets import Outlets
from .instruments import Instrument, ObservedControl
from .kinds import CALL, ROOM
from .machinery import Machinery
from .media.media_scope import ProjectControl
from .routes import Routes
from .settings import EngineSettings
from .statistics import EngineStatistics
from .subscriptions import Admission
from .timing.alarms import Agenda

if TYPE_CHECKING:
    from ..client import UTDStreamClient
    from ..client.options import ClientOptions
    from ..server import App, Project

T = TypeVar("T")


class Engine(Closeable):
    """Rooms, seats, stage and calls over one media backend, embedded in this process.

        async with Engine("mock") as engine:
            alice = engine.client("alice")

    `media` is the name of an installed plugin (`media_settings` are its own) or a backend; `store` a file for SQLite,
    a URL of PostgreSQL, a store, or None for memory. A backend or store that is handed in stays its owner's to close.
    `app_id` is the project that the engine works for: in a file or database that is named here it has only what belongs
    to that, and its media rooms are kept apart from those of others. `instrument` is shown the engine's work, `outlets`
    (webhooks) are told its events. User tokens are signed with `token_key`, or with a key that is made once and kept in
    the store. An engine is opened once; after `aclose` make a new one.
    """

    def __init__(
        self,
        media: str | MediaBackend = "mock",
        *,
        store: str | Path | Store | None = None,
        clock: Clock | None = None,
        media_settings: Mapping[str, Any] | None = None,
        app_id: str = DEFAULT_PROJECT,
        settings: EngineSettings | None = None,
        instrument: Instrument | None = None,
        outlets: Outlets | None = None,
        token_key: bytes | None = None,
    ) -> None:
        if not isinstance(media, str | MediaBackend):
            raise InvalidInput(f"media is the name of a plugin's backend, or a backend, got {type(media).__name__}")
        if not (store is None or isinstance(store, str | Path) or callable(getattr(store, "commit", None))):
            raise InvalidInput(f"store is a file, a store or None for memory, got {type(store).__name__}")
        self.clock: Clock = clock or SystemClock()
        self.app_id = check_app_id(app_id)
        self.settings = settings or EngineSettings()
        self._media = media
        self._media_settings = media_settings
        self._instrument = instrument
        self._outlets = outlets
        self._token_key = token_key
        self._given_store = store
        self._machinery: Machinery | None = None
        self._backend: MediaBackend | None = None
        self._store: Store | None = None
        self._broker: LocalBroker | None = None
        self._opening: anyio.CancelScope | None = None
        self._settled = asyncio.Event()
        self._opened = False
        self._closed = False
        self._closing = asyncio.Lock()
        self._waits = Pending()
        self._routes = Routes(self.app_id, self.clock, self._running, self._or_closed)
        self._fence: Fence | None = None
        self._end = TaskScope("end of an engine")

    @property
    def is_open(self) -> bool:
        """Whether it takes commands: between opening and closing."""
        return self._machinery is not None and self._opening is None and not self._closed

    @property
    def backend(self) -> MediaBackend:
        """The media backend; clients of this engine connect through it. Raises `Closed` before and after."""
        self._running()
        assert self._backend is not None
        return self._backend

    async def __aenter__(self) -> Self:
        """Start. Raises `BackendNotFound`, `PluginError`, `StoreFailed`, `MediaError`, or `Closed` the second time."""
        if self._opened or self._closed:
            raise Closed("an engine is opened once; make a new one")
        self._opened = True
        try:
            with anyio.CancelScope() as self._opening:
                await self._open()
            if self._closed:
                raise self._over("the engine was closed while it was opening")
        except BaseException:
            self._opening = None
            # A scope that was cancelled would cancel this too, at each of its awaits.
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise
        finally:
            self._opening = None
            self._settled.set()
        return self

    async def aclose(self) -> None:
        """End everything. Commands that wait get `Closed`. Idempotent, from any task, also while it opens.

        An engine on a store with a fence does so by itself once that is shut; commands that wait get `Deposed` then.
        """
        self._closed = True
        if self._opening is not None:
            # Whoever opens it cleans up, having been told to stop.
            self._opening.cancel()
            await self._settled.wait()
            return
        self._waits.give_up()
        async with self._closing:
            if self._machinery is not None:
                await self._machinery.aclose()
            if self._broker is not None:
                await self._broker.aclose()
            if self._store is not None and self._store is not self._given_store:
                await self._store.aclose()
            if self._backend is not None and self._backend is not self._media:
                await self._backend.aclose()
        await self._end.aclose()

    async def execute(self, command: Command, *, actor: Actor = THE_SERVER, idempotency_key: str | None = None) -> Any:
        """Do what the command says; answers `command.spec.result`.

        The same actor's same command under the same key is answered with the first answer (a ticket is made anew, and
        so is a session's token that has expired or was revoked).
        A caller that is cancelled does not undo its command. Raises what the rules raise (`Refused`, `InvalidInput`),
        `RateLimited` when too many commands wait, `StoreFailed` (nothing was changed), `MediaError` or
        `DeadlineExceeded` when a ticket could not be had, `Closed`, and `Deposed` (nothing was done) when another node
        works for the project.
        """
        self._running()
        _check_actor(actor)
        carry_out = self._routes.of(command)
        if self._instrument is None:
            return await carry_out(command, actor, idempotency_key)
        with self._instrument.command(command.spec.name, self.app_id):
            return await carry_out(command, actor, idempotency_key)

    async def subscribe(
        self, channel: str, *, actor: Actor = THE_SERVER, recover: Recover | None = None, capacity: int = 1_000
    ) -> Subscription:
        """Follow a channel: a user's own, that of a room one is in (or moderates), that of one's own call.

        The subscription to a room ends when the actor leaves it or the room ends (its queue is closed after the events
        up to then), or when the actor is removed (it is closed with `Forbidden`). Raises `Forbidden`, `Conflict`,
        `NotFound`, `InvalidInput`, `Closed`.
        """
        running = self._running()
        _check_follower(channel, actor)
        return await self._or_closed(running.subscriptions.subscribe(channel, actor, recover, capacity))

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. Idempotent, and fine after `aclose`."""
        if self._machinery is not None:
            self._machinery.subscriptions.unsubscribe(subscription)

    async def admit(
        self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor = THE_SERVER
    ) -> Admission:
        """Let the actor follow a channel by other means than a subscription of its own: one that many share.

        `ended` is called, once and without waiting, as soon as the actor may follow no more: with the error to tell it,
        or None when the channel has nothing more to say; what was published until then is still its to read. Raises as
        `subscribe` does. End it with `dismiss`.
        """
        running = self._running()
        _check_follower(channel, actor)
        return await self._or_closed(running.subscriptions.admit(channel, actor, ended))

    def dismiss(self, admission: Admission) -> None:
        """End an admission without a call of its `ended`. Idempotent, and fine after `aclose`."""
        if self._machinery is not None:
            self._machinery.subscriptions.dismiss(admission)

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk:
        """Where the actor opens lines to the media backend's control half, for its connection to the room or call of a
        channel; lines are lost when the engine is closed.

        Raises `Unsupported` unless the backend declares `signalling`, `Forbidden`, `NotFound`, `Conflict` (not_joined,
        call_ended), `StoreFailed`, `Closed`.
        """
        running = self._running()
        _check_follower(channel, actor)
        return await self._or_closed(running.signals.desk(channel, actor))

    def receive_media_webhook(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Hand on what the media server posted: the body as it came, and the request's headers by their names in lower
        case. `asgi` and `utd serve` have a route for it.

        Raises `Unauthenticated` unless the media server sent exactly this, `InvalidInput`, `Closed`, and `Unsupported`
        unless the backend declares `webhooks`.
        """
        self._running().core.control.receive(body, headers)

    def listen(self, hear: Callable[[Sequence[Envelope]], None]) -> None:
        """Have every event told to `hear`, until the engine is closed: those of one transaction at a time, once they
        are committed, and before the ends of admissions that follow from them. It must not wait, nor raise.
        Raises `Closed`."""
        self._running()
        assert self._broker is not None
        self._broker.listen(hear)

    def client(
        self,
        identity: str | None = None,
        *,
        name: str = "",
        device_id: str | None = None,
        **client_options: Unpack[ClientOptions],
    ) -> UTDStreamClient:
        """A client of this engine, signed in as `identity` if it is given; see `UTDStreamClient` for the options."""
        from ..client import UTDStreamClient

        return UTDStreamClient(engine=self, identity=identity, name=name, device_id=device_id, **client_options)

    def asgi(self, project: Project | None = None, **settings: Any) -> App:
        """This engine as an ASGI application, to be run or mounted; see `utd_core.server.asgi`.

        Raises `UTDStreamException` (missing_extra) where the extra `server` is not installed.
        """
        with needs_extra("the server", "server"):
            from ..server import asgi
        return asgi(self, project, **settings)

    def head(self, channel: str) -> Head | None:
        """The newest place of a room's or call's channel, not before that of any command that was answered here; None
        where nothing of it is in memory. Nothing is read, and nothing waits."""
        for kind in (ROOM, CALL):
            if self._machinery is not None and channel.startswith(prefix := kind.home("") or ""):
                aggregate = self._machinery.pipeline.residents.peek(kind, channel[len(prefix) :])
                return aggregate.head if aggregate is not None and aggregate.loaded and aggregate.head.offset else None
        return None

    def actor_of(self, user_token: str) -> Actor:
        """Who a user token speaks for. Raises `Unauthenticated`."""
        return self._running().tokens.read(user_token)

    def is_needed(self, seconds: float = 0.0) -> bool:
        """Whether somebody misses it if it is closed now: somebody is in a room or call, or follows a channel, or a
        deadline comes within so many seconds. The rest is in the store for the next engine. Raises `Closed`."""
        running = self._running()
        assert self._broker is not None
        return running.is_needed(seconds) or self._broker.statistics().subscriptions > 0

    @property
    def is_busy(self) -> bool:
        """Whether something is being decided, or mended at the media backend, or to be tried again. Raises `Closed`."""
        return self._running().is_busy

    @property
    def is_refused(self) -> bool:
        """Whether the store did not take the last transaction that was tried. Raises `Closed`."""
        return self._running().pipeline.refused_for > 0

    def statistics(self) -> EngineStatistics:
        """Gauges and counters of this moment. Raises `Closed` before it was opened."""
        if self._machinery is None:
            raise Closed("the engine was never opened")
        return self._machinery.statistics()

    async def _open(self) -> None:
        self._backend = await default_manager().make_backend(self._media, self._media_settings, self.clock)
        control: MediaControl = ProjectControl(self._backend.control, self.app_id)
        if self._instrument is not None:
            control = ObservedControl(control, self._instrument)
        given = self._given_store
        if given is None or isinstance(given, str | Path):
            self._store = open_store(given, project=self.app_id)
        else:
            self._store = given
        await self._store.open()
        if self._store.fence is not None:
            await self._end.open()
            self._fence = self._store.fence
            self._fence.on_shut(self._depose)
        if self._outlets is not None:
            self._outlets.attach(self._store.outbox)
        self._broker = LocalBroker(self._store)
        await self._broker.open()
        core = Core(
            app_id=self.app_id,
            settings=self.settings,
            clock=self.clock,
            scope=TaskScope("engine"),
            agenda=Agenda(self.clock),
            store=self._store,
            broker=self._broker,
            backend=self._backend,
            control=control,
            instrument=self._instrument,
            outlets=self._outlets,
            token_key=self._token_key,
        )
        self._machinery = Machinery(core)
        await self._machinery.open()

    def _running(self) -> Machinery:
        if self._closed:
            raise self._over("the engine was closed; make a new one")
        if self._machinery is None or self._opening is not None:
            raise Closed("the engine is not open; use it inside `async with`")
        return self._machinery

    def _over(self, message: str) -> UTDStreamException:
        """What whoever comes now is told."""
        deposed = None if self._fence is None else self._fence.error
        return Closed(message) if deposed is None else copy(deposed)

    def _depose(self) -> None:
        """Somebody else may work for the project from now on."""
        if self._closed:
            return
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        elif self._machinery is not None:
            self._machinery.pipeline.stop(lambda: self._over("the engine was closed"))
            self._end.start(self._leave, self._machinery, name="leave")

    async def _leave(self, machinery: Machinery) -> None:
        # What acts on the media backend ends first: two would undo each other's work. And whoever was told that
        # nothing was done hears it, before those who wait for something else hear that all is over.
        await machinery.aclose()
        await self.aclose()

    async def _or_closed(self, operation: Awaitable[T]) -> T:
        """The result of something that waits for others than the pipeline, or `Closed` when the engine is."""
        with self._waits.under_way():
            return await operation
        raise Closed("the engine was closed; whether the command took effect is known to the next engine on this store")


def _check_actor(actor: Actor) -> None:
    """Raise `InvalidInput` unless it can be somebody."""
    if not isinstance(actor, Actor):
        raise InvalidInput(f"an actor is Actor(identity), got {type(actor).__name__}")
    if not actor.is_trusted:
        check_identity(actor.identity)
        check_device(actor.device)


def _check_follower(channel: str, actor: Actor) -> None:
    _check_actor(actor)
    if not isinstance(channel, str):
        raise InvalidInput(f"a channel is named by a string, got {type(channel).__name__}")
