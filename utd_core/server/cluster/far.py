"""The engine of a project that another node holds."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from secrets import token_hex
from typing import Any, Protocol, TypeVar

import anyio

from ...broker import LocalBroker, Recover, Subscription
from ...concurrency import Clock, TaskScope
from ...concurrency.pending import Pending
from ...engine.subscriptions import Admission
from ...errors import Closed, NobodyListens, UTDStreamException
from ...media.signalling import SignallingDesk
from ...model.command import Actor, Command
from ...model.wire import channel_of
from ...store.base import Envelope, Head, Store
from . import messages
from .far_lines import FarLines
from .gathering import Gathering
from .settings import ClusterSettings
from .way import Lost, OnLost

log = logging.getLogger("utd_core.server")

_MOST_HEADS = 4_096

T = TypeVar("T")


class Ask(Protocol):
    """Puts a question to a node; raises a `UTDStreamException` where there is no answer in time."""

    async def __call__(self, node: str, question: messages.Question, timeout: float, /) -> messages.Answer: ...


class FarEngine:
    """Asks the holder, and hears its stream; from `open()` until something is lost between the two, or `aclose()`.

    - Commands are carried out by the holder, and so is the decision who may follow a channel. Both raise what an
      `Engine` raises, and `Lost`.
    - The holder streams the events of those channels that are followed here. They go through a broker on this node,
      which reads from the store whatever is older. Nothing is mended: as soon as a message of the stream is missing,
      this engine is lost, its subscriptions are closed, and whoever reads them goes on from the last place by way of a
      new one.

    A `Way`. `topic` is where this node hears streams: hand what is heard there to `hear`.
    """

    is_far = True

    def __init__(
        self,
        tenancy: messages.Tenancy,
        *,
        ask: Ask,
        topic: str,
        store: Store,
        clock: Clock,
        settings: ClusterSettings,
        on_lost: OnLost,
    ) -> None:
        self.tenancy = tenancy
        self.stream = token_hex(8)
        self._clock = clock
        self._put = ask
        self._topic = topic
        self._settings = settings
        self._on_lost = on_lost
        self._broker = LocalBroker(store)
        self._scope = TaskScope(f"way to {tenancy.app_id}")
        self._follows = Gathering(self._scope, self._follow)
        self._admits = Gathering(self._scope, self._ask_in)
        self._lines = FarLines(self._scope, self._signal)
        # What is asked for and what is given up must not overtake each other.
        self._turn = anyio.Lock()
        self._followed: set[str] = set()
        self._coming: Counter[str] = Counter()
        self._ids = count(1)
        self._admissions: dict[int, FarAdmission] = {}
        self._dismissed: list[int] = []
        self._subscribed: dict[Subscription, Admission] = {}
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._heard = self._said = 0
        self._used_at = clock.monotonic()
        self._waits = Pending()
        self._is_open = self._is_lost = False
        # It was lost because the holder did not answer.
        self.is_silent = False

    @property
    def is_open(self) -> bool:
        return self._is_open and not self._is_lost

    async def open(self) -> None:
        """Begin. Raises `Lost`, and `Closed` after `aclose`."""
        await self._scope.open()
        await self._broker.open()
        await self._ask(messages.Open(self.tenancy, self.stream, self._topic))
        self._is_open = True
        self._scope.start(self._beat, name="beat")

    async def aclose(self) -> None:
        """End every subscription; whoever waits for an answer gets `Lost`. Idempotent."""
        self._lose("it is not needed any more")
        await self._scope.aclose()
        await self._broker.aclose()

    def give_up(self, why: str) -> None:
        """Take it for lost; whoever made it closes it. Idempotent."""
        self._lose(why)

    async def execute(
        self, command: Command, actor: Actor, key: str | None, timeout: float, *, again: bool = False
    ) -> Any:
        """Have a command carried out. Raises what the engine there raises, and `Lost` also when time runs out."""
        answer = await self._ask(messages.execute(self.tenancy, command, actor, key, again=again), timeout)
        if isinstance(answer, messages.Refused):
            raise answer.refusal.as_error()
        if not isinstance(answer, messages.Done):
            raise self._strange(answer)
        channel = channel_of(command)
        if channel is not None and answer.head is not None:
            self._heads[channel] = answer.head
            self._heads.move_to_end(channel)
            if len(self._heads) > _MOST_HEADS:
                self._heads.popitem(last=False)
        return messages.result_of(command, answer)

    def head(self, channel: str) -> Head | None:
        return self._heads.get(channel)

    async def subscribe(self, channel: str, *, actor: Actor, recover: Recover | None, capacity: int) -> Subscription:
        subscription: Subscription | None = None
        over: Exception | None = None

        def ended(error: Exception | None) -> None:
            nonlocal over
            over = error or Closed("there is nothing more to follow here")
            if subscription is not None:
                self._subscribed.pop(subscription, None)
                subscription.events.close(error)
                self._broker.unsubscribe(subscription)

        admission = await self.admit(channel, ended, actor=actor)
        try:
            with self._expecting(channel):
                if channel not in self._followed:
                    await self._wait(self._follows.ask(channel))
                following = self._broker.subscribe(channel, recover=recover, capacity=capacity)
                subscription = await self._wait(following)
            if over is not None:
                self._broker.unsubscribe(subscription)
                raise over
        except BaseException:
            self.dismiss(admission)
            raise
        self._subscribed[subscription] = admission
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        admission = self._subscribed.pop(subscription, None)
        if admission is not None:
            self.dismiss(admission)
        self._broker.unsubscribe(subscription)

    async def admit(self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor) -> Admission:
        self._used_at = self._clock.monotonic()
        admission = FarAdmission(channel, actor.identity, ended, next(self._ids))
        # Its end may be heard before the answer is.
        self._admissions[admission.id] = admission
        try:
            refusal = await self._wait(self._admits.ask(messages.Wish(admission.id, channel, actor)))
        except BaseException:
            self.dismiss(admission)
            raise
        if refusal is not None:
            del self._admissions[admission.id]
            raise refusal.as_error()
        return admission

    def dismiss(self, admission: Admission) -> None:
        if isinstance(admission, FarAdmission) and self._admissions.pop(admission.id, None) is not None:
            self._dismissed.append(admission.id)

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk:
        if not self.is_open:
            raise Lost("the holder was lost before")
        return self._lines.desk(channel, actor)

    def hear(self, number: int, lines: Sequence[str]) -> None:
        """The next message of the stream."""
        if self._is_lost:
            return
        if number != self._heard + 1:
            ended = number == messages.LAST
            self._lose(
                "it holds the project no more" if ended else f"message {self._heard + 1} of its stream is missing"
            )
            return
        self._heard = number
        try:
            said = [messages.read_line(line) for line in lines]
        except UTDStreamException as error:
            self._lose(str(error))
            return
        events: list[Envelope] = []
        for each in said:
            if isinstance(each, Envelope):
                events.append(each)
                continue
            if not isinstance(each, messages.Ended):
                self._lines.hear(each)
                continue
            # What was published before an end is still heard by those whose end it is.
            self._broker.publish(events)
            events = []
            admission = self._admissions.pop(each.admission, None)
            if admission is not None:
                admission.ended(each.error)
        self._broker.publish(events)

    def interrupted(self) -> None:
        """Messages to this node may be missing."""
        self._lose("messages may be missing")

    @contextmanager
    def _expecting(self, channel: str) -> Iterator[None]:
        """As long as somebody is about to subscribe, the channel is not given up."""
        self._coming[channel] += 1
        try:
            yield
        finally:
            self._coming[channel] -= 1
            if not self._coming[channel]:
                del self._coming[channel]

    async def _follow(self, channels: Sequence[str]) -> Sequence[None]:
        async with self._turn:
            wanted = tuple(dict.fromkeys(channel for channel in channels if channel not in self._followed))
            if wanted:
                await self._ask(messages.Follow(self.tenancy, self.stream, wanted))
                self._followed.update(wanted)
        return [None] * len(channels)

    async def _ask_in(self, wishes: Sequence[messages.Wish]) -> Sequence[messages.Refusal | None]:
        async with self._turn:
            answer = await self._ask(messages.Admit(self.tenancy, self.stream, tuple(wishes)))
        if not isinstance(answer, messages.Admitted) or len(answer.refusals) != len(wishes):
            raise self._strange(answer)
        return answer.refusals

    async def _signal(self, words: Sequence[messages.Word]) -> None:
        await self._ask(messages.Signal(self.tenancy, self.stream, tuple(words)))

    async def _beat(self) -> None:
        """Show that we are there, give up what is not needed, and look whether all that was said has been heard."""
        while not self._is_lost:
            await self._clock.sleep(self._settings.beat)
            if self._is_idle():
                self._lose("nobody needs it")
                return
            if self._said > self._heard:
                self._lose(f"message {self._heard + 1} of its stream does not come")
                return
            async with self._turn:
                unfollowed = tuple(channel for channel in self._followed if not self._is_needed(channel))
                self._followed.difference_update(unfollowed)
                dismissed, self._dismissed = tuple(self._dismissed), []
                try:
                    answer = await self._ask(messages.Beat(self.tenancy, self.stream, unfollowed, dismissed))
                except Lost:
                    return
            if isinstance(answer, messages.Heard):
                # It has a beat's time to arrive.
                self._said = answer.number

    def _is_needed(self, channel: str) -> bool:
        return channel in self._coming or self._broker.is_followed(channel)

    def _is_idle(self) -> bool:
        if self._followed or self._admissions:
            self._used_at = self._clock.monotonic()
        return self._clock.monotonic() - self._used_at > self._settings.idle

    async def _ask(self, question: messages.Question, timeout: float | None = None) -> messages.Answer:
        """Raises `Lost` where there is no answer; then this engine is lost too, unless it was only a command for which
        the holder had no time."""
        if not isinstance(question, messages.Beat):
            self._used_at = self._clock.monotonic()
        patience = self._settings.silence if timeout is None else timeout
        try:
            answer = await self._wait(self._put(self.tenancy.holder, question, patience))
        except UTDStreamException as error:
            if isinstance(error, NobodyListens) or not isinstance(question, messages.Execute):
                self._lose(error.message, is_silent=True)
            raise Lost(error.message) from error
        if isinstance(answer, messages.Gone):
            self._lose("it holds the project no more")
            raise Lost("it holds the project no more")
        if isinstance(answer, messages.Refused) and not isinstance(question, messages.Execute):
            self._lose(answer.refusal.message)
            raise Lost(answer.refusal.message)
        return answer

    async def _wait(self, operation: Awaitable[T]) -> T:
        """The result of something that has no meaning any more once this engine is lost. Raises `Lost` then."""
        if self._is_lost:
            if isinstance(operation, Coroutine):
                operation.close()
            raise Lost("the holder was lost before")
        with self._waits.under_way():
            try:
                return await operation
            except Closed as error:
                if not self._is_lost:
                    raise
                raise Lost("the holder was lost meanwhile") from error
        raise Lost("the holder was lost meanwhile")

    def _lose(self, why: str, *, is_silent: bool = False) -> None:
        if self._is_lost:
            return
        self._is_lost, self.is_silent = True, is_silent
        log.info("the way to node %s, which holds project %s, ends: %s", self.tenancy.holder, self.tenancy.app_id, why)
        self._waits.give_up()
        self._lines.close()
        self._on_lost(self)

    def _strange(self, answer: messages.Answer) -> Lost:
        self._lose(f"it answers with {type(answer).__name__}")
        return Lost("the holder does not answer what it was asked; is it of another version?")


class FarAdmission(Admission):
    """An admission of the holder's engine. `id` names it in the stream."""

    __slots__ = ("id",)

    def __init__(self, channel: str, identity: str, ended: Callable[[Exception | None], None], id: int) -> None:
        super().__init__(channel, identity, ended)
        self.id = id
