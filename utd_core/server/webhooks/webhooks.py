"""The webhooks of one project on one node."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import anyio
import httpx

from ...concurrency import Clock, SystemClock, TaskScope, within
from ...errors import Closed, DeadlineExceeded, InvalidInput, StoreFailed
from ...store.outbox import DeadLetter, Outbox, OutboxFigures
from .courier import Courier
from .endpoints import WebhookEndpoint
from .sender import Sender
from .settings import WebhookSettings
from .statistics import EndpointStatistics

log = logging.getLogger("utd_core.server")

_PRUNE_INTERVAL = 3_600.0


class Webhooks:
    """Tells the endpoints of a project what happens on an engine.

        webhooks = Webhooks([WebhookEndpoint("shop", "https://shop.example.com/hook", (secret,))])
        async with Engine("mock", outlets=webhooks), webhooks:
            ...

    The engine writes events for them into its store, with everything else; inside `async with` they are delivered, and
    leaving it goes on for a while with what is due. What is left then is delivered the next time. Endpoints may be
    changed at any time (`update`). `transport` is in the place of the network. An `Outlets`. Raises `InvalidInput` for
    two endpoints of one name.
    """

    def __init__(
        self,
        endpoints: Sequence[WebhookEndpoint],
        settings: WebhookSettings | None = None,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._endpoints = _checked(endpoints)
        self._settings = settings or WebhookSettings()
        self._clock = clock or SystemClock()
        self._transport = transport
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._outbox: Outbox | None = None
        self._scope = TaskScope("webhooks")
        self._couriers: dict[str, Courier] = {}
        self._senders: dict[str, Sender] = {}
        self._retired: set[Sender] = set()

    @property
    def is_idle(self) -> bool:
        """Nothing is being delivered, nor due. What is to be tried again later stays in the store."""
        return all(courier.is_idle for courier in self._couriers.values())

    def wanted(self, event: str) -> Sequence[str]:
        found = self._wanted.get(event)
        if found is None:
            found = self._wanted[event] = tuple(each.name for each in self._endpoints if each.wants(event))
        return found

    def attach(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def filled(self, endpoints: Sequence[str]) -> None:
        for name in endpoints:
            if name in self._couriers:
                self._couriers[name].wake()

    async def __aenter__(self) -> Self:
        """Begin to deliver. Raises `Closed` where no engine was opened with them."""
        self._attached()
        await self._scope.open()
        for endpoint in self._endpoints:
            self._employ(endpoint)
        self._scope.start(self._prune, name="dead letters")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.flush()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop now. Idempotent."""
        await self._scope.aclose()
        for sender in (*self._senders.values(), *self._retired):
            await sender.aclose()

    def update(self, endpoints: Sequence[WebhookEndpoint]) -> None:
        """Tell these from now on. Of one that is missing, what waits is kept, and delivered when it comes back.

        Raises `InvalidInput`, as making them does.
        """
        before = {endpoint.name: endpoint for endpoint in self._endpoints}
        self._endpoints = _checked(endpoints)
        self._wanted.clear()
        if not self._scope.is_open:
            return
        for endpoint in self._endpoints:
            if before.pop(endpoint.name, None) != endpoint:
                self._employ(endpoint)
        for name in before:
            self._couriers.pop(name).end()
            self._retire(self._senders.pop(name))

    def _employ(self, endpoint: WebhookEndpoint) -> None:
        """Have somebody deliver to an endpoint, or deliver to it as it is now."""
        name = endpoint.name
        if name in self._senders:
            self._retire(self._senders[name])
        sender = self._senders[name] = Sender(endpoint, self._settings, self._clock, self._transport)
        courier = self._couriers.get(name)
        if courier is not None:
            courier.sender = sender
            return
        courier = Courier(name, self._attached(), sender, self._clock, self._scope, self._settings)
        self._couriers[name] = courier
        courier.wake()
        self._scope.start(courier.run, name=f"webhook {name}")

    def _retire(self, sender: Sender) -> None:
        self._retired.add(sender)
        self._scope.start(self._dismiss, sender, name="webhook that was changed")

    async def _dismiss(self, sender: Sender) -> None:
        """Close it when all that it has under way is over."""
        await self._clock.sleep(self._settings.timeout)
        await sender.aclose()
        self._retired.discard(sender)

    async def flush(self) -> None:
        """Return once nothing is due any more, or after `flush_timeout`."""
        if not self._scope.is_open:
            return

        async def all_idle() -> None:
            async with anyio.create_task_group() as group:
                for courier in self._couriers.values():
                    group.start_soon(courier.idle)

        try:
            await within(self._clock, self._settings.flush_timeout, all_idle(), "webhooks are still under way")
        except DeadlineExceeded:
            log.warning("not every webhook has been delivered; what is left is in the store")

    async def dead_letters(
        self, endpoint: str | None = None, *, after: int = 0, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """Events that were given up, from the first whose number is beyond `after`. Raises `StoreFailed`, `Closed`."""
        return await self._attached().dead(endpoint, after=after, limit=limit)

    async def redeliver(self, number: int) -> bool:
        """Try one of those again, as if it had happened now; False where there is none. Raises as `dead_letters`."""
        found = await self._attached().revive(number, self._clock.now())
        self.filled([endpoint.name for endpoint in self._endpoints])
        return found

    async def statistics(self) -> Mapping[str, EndpointStatistics]:
        """By endpoint. Raises `StoreFailed`, `Closed`."""
        outbox = self._attached()
        figures = await outbox.figures() if self._endpoints else {}
        return {endpoint.name: self._statistics(endpoint.name, figures) for endpoint in self._endpoints}

    def _statistics(self, name: str, figures: Mapping[str, OutboxFigures]) -> EndpointStatistics:
        found, courier = figures.get(name, OutboxFigures()), self._couriers.get(name)
        return EndpointStatistics(
            waiting=found.waiting,
            age=0.0 if found.oldest is None else max(0.0, self._clock.now() - found.oldest),
            dead=found.dead,
            delivered=0 if courier is None else courier.delivered,
            failed=0 if courier is None else courier.failed,
        )

    def _attached(self) -> Outbox:
        if self._outbox is None:
            raise Closed("no engine was opened with these webhooks; give them to Engine(outlets=...)")
        return self._outbox

    async def _prune(self) -> None:
        while True:
            try:
                await self._attached().prune_dead(self._clock.now() - self._settings.keep_dead)
            except Closed:
                return
            except StoreFailed as error:
                log.warning("old dead letters are still there: %s", error)
            await self._clock.sleep(_PRUNE_INTERVAL)


def _checked(endpoints: Sequence[WebhookEndpoint]) -> tuple[WebhookEndpoint, ...]:
    if len({endpoint.name for endpoint in endpoints}) < len(endpoints):
        raise InvalidInput("two webhooks have one name; what waits is kept by it, so give each its own")
    return tuple(endpoints)
