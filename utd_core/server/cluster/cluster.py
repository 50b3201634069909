"""One node among others: what it holds, what it asks of the others, and what it tells them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import anyio

from ...bus import Answering, Listener, MessageBus, Questions
from ...concurrency import Clock
from ...concurrency.closing import Closeable
from ...engine.identity.tokens import UserTokens
from ...errors import StoreFailed, UTDStreamException
from ...store.base import Store
from ...store.leases import Fence, Lease
from ..hosting.running import Running
from . import messages
from .far import FarEngine
from .holding import Gate, Holding
from .near import NearEngine
from .relay import Relay
from .settings import ClusterSettings
from .tenure import Tenure
from .way import Lost, OnLost, Way

log = logging.getLogger("utd_core.server")

Run = Callable[[Fence], Awaitable[Running]]
"""Opens the engine of a project, to write under a lease. Raises what opening an engine does."""


@dataclass(frozen=True, slots=True)
class ClusterStatistics:
    """`holds`: projects whose engine is at work here; `asks`: those of other nodes that are asked at the moment.
    Counters since the node began: `forwarded` commands went to another node, `answered` ones came from others; `lost`
    ways to a holder had to be found anew; `made_way`: projects were left to others, who could not ask this node."""

    holds: int
    asks: int
    forwarded: int
    answered: int
    lost: int
    made_way: int


class Cluster(Closeable):
    """This node's part in the cluster; open inside `async with`. `bus` and `tenure` stay their owner's to close.

    Close the relays before it.
    """

    def __init__(
        self, bus: MessageBus, tenure: Tenure, *, clock: Clock, settings: ClusterSettings | None = None
    ) -> None:
        self.node = tenure.node
        self._bus = bus
        self._tenure = tenure
        self._clock = clock
        self._settings = settings or ClusterSettings()
        self._questions = Questions(bus, clock=clock)
        self._answering: Answering | None = None
        self._ear: Listener | None = None
        self._holdings: dict[str, Holding] = {}
        self._asked: dict[str, FarEngine] = {}
        # Leases whose holders did not answer when they were asked last, by project.
        self._silent: dict[str, Lease] = {}
        self._counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Be there for the others. Raises `Closed`, and `Unavailable` where the bus is away."""
        await self._questions.open()
        self._ear = await self._bus.subscribe(_streams(self.node), self._hear, interrupted=self._interrupted)
        most = self._settings.questions
        self._answering = await self._questions.answer(_questions(self.node), self._answer, at_once=most, waiting=most)

    async def aclose(self) -> None:
        answering, self._answering = self._answering, None
        if answering is not None:
            await answering.aclose()
        ear, self._ear = self._ear, None
        if ear is not None:
            self._bus.unsubscribe(ear)
        await self._questions.aclose()

    def relay(self, app_id: str, store: Store, tokens: UserTokens, run: Run, gate: Gate) -> Relay:
        """The engine of a project, to be opened and closed by whoever hosts it. `store`: the project's, open, to read
        from; `run`: opens its engine here; `gate`: lets in, or refuses, what other nodes ask of that."""

        async def seek(on_lost: OnLost) -> Way:
            return await self._seek(app_id, store, run, gate, on_lost)

        return Relay(app_id, seek, store=store, tokens=tokens, clock=self._clock, settings=self._settings)

    def statistics(self) -> ClusterStatistics:
        return ClusterStatistics(
            holds=len(self._holdings),
            asks=len(self._asked),
            forwarded=self._counts["forwarded"],
            answered=self._counts["answered"],
            lost=self._counts["lost"],
            made_way=self._counts["made_way"],
        )

    async def _seek(self, app_id: str, store: Store, run: Run, gate: Gate, on_lost: OnLost) -> Way:
        claimed = await self._tenure.claim(app_id)
        if claimed is None:
            raise Lost("nobody works for it, and the others come first, as they cannot ask this node")
        if isinstance(claimed, Fence):
            return await self._hold(claimed, run, gate, on_lost)

        def lost(way: Way) -> None:
            self._asked.pop(far.stream, None)
            if far.is_silent:
                self._silent[app_id] = claimed
            self._counts["lost"] += 1
            on_lost(way)

        far = FarEngine(
            messages.Tenancy(app_id, claimed.holder, claimed.term),
            ask=self._ask,
            topic=_streams(self.node),
            store=store,
            clock=self._clock,
            settings=self._settings,
            on_lost=lost,
        )
        # The stream may begin before the answer that it does has arrived.
        self._asked[far.stream] = far
        try:
            if self._silent.get(app_id) == claimed and await self._tenure.want(claimed):
                await self._open_unless_it_goes(far, claimed)
            else:
                await far.open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await far.aclose()
            raise
        self._silent.pop(app_id, None)
        return far

    async def _open_unless_it_goes(self, far: FarEngine, lease: Lease) -> None:
        """Ask a holder that gave no answer before, and may make way instead. Raises `Lost`, then at once."""
        lost: Lost | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._see_it_go, far, lease)
            try:
                await far.open()
            except Lost as error:
                lost = error
            group.cancel_scope.cancel()
        if lost is not None:
            raise lost

    async def _see_it_go(self, far: FarEngine, lease: Lease) -> None:
        """Give up asking the holder as soon as it is not the holder any more."""
        while True:
            await self._clock.sleep(self._settings.retry)
            try:
                if await self._tenure.holder_of(lease.project) == lease:
                    continue
            except StoreFailed:
                continue
            far.give_up("its holder made way")
            return

    async def _hold(self, fence: Fence, run: Run, gate: Gate, on_lost: OnLost) -> Way:
        lease = fence.lease
        running: Running | None = None
        holding: Holding | None = None
        try:
            running = await run(fence)
            tenancy = messages.Tenancy(lease.project, lease.holder, lease.term)
            holding = Holding(
                tenancy, running.engine, bus=self._bus, clock=self._clock, settings=self._settings, gate=gate
            )
            await holding.open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                if holding is not None:
                    await holding.aclose()
                if running is not None:
                    await running.aclose()
                await self._tenure.release(fence)
            raise
        self._holdings[lease.project] = holding
        self._silent.pop(lease.project, None)
        log.info("this node (%s) works for project %s now, in term %s", self.node, lease.project, lease.term)

        def lost(way: Way) -> None:
            if self._holdings.get(lease.project) is holding:
                del self._holdings[lease.project]
            log.info("this node (%s) works for project %s no more", self.node, lease.project)
            on_lost(way)

        near = NearEngine(running, holding, fence, self._tenure, lost)

        def make_way() -> None:
            if near.make_way():
                self._counts["made_way"] += 1

        self._tenure.on_wanted(fence, make_way)
        return near

    async def _ask(self, node: str, question: messages.Question, timeout: float, /) -> messages.Answer:
        if isinstance(question, messages.Execute):
            self._counts["forwarded"] += 1
        payload = await self._questions.ask(_questions(node), messages.write(question), timeout)
        return messages.read_answer(payload)

    async def _answer(self, payload: bytes) -> bytes:
        question = messages.read_question(payload)
        holding = self._holdings.get(question.tenancy.app_id)
        if holding is None or holding.tenancy != question.tenancy:
            return messages.write(messages.Gone())
        if isinstance(question, messages.Execute):
            self._counts["answered"] += 1
        return messages.write(await holding.answer(question))

    async def _hear(self, message: bytes) -> None:
        try:
            stream, number, lines = messages.read_stream_message(message)
        except UTDStreamException as error:
            log.warning("what another node sends cannot be read: %s", error)
            return
        far = self._asked.get(stream)
        if far is not None:
            far.hear(number, lines)

    async def _interrupted(self) -> None:
        for far in list(self._asked.values()):
            far.interrupted()


def _questions(node: str) -> str:
    """Where a node is asked."""
    return f"$node/{node}/questions"


def _streams(node: str) -> str:
    """Where a node hears the streams of those whom it asks."""
    return f"$node/{node}/streams"
