"""A channel of the engine on one node: one subscription, followed by however many sockets.

- The engine says who may follow, and when that ends. What was published up to then is still sent; nothing after it is.
- An event is made into a frame once. Those who come back get what they missed from here, or from the engine's history.
- If the engine's stream breaks and cannot be resumed without a hole, everybody who follows is told to reconnect.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf

from ...broker import Recover, Subscription
from ...engine.subscriptions import Admission
from ...errors import Closed, Conflict, Forbidden, UTDStreamException
from ...model.command import Actor
from ...store.base import Envelope, Head
from . import frames
from .channel import Channel, Place, Surroundings, Talk
from .codes import CloseCode
from .names import ChannelKind
from .recent import Published, Recent
from .socket import Socket

log = logging.getLogger("utd_core.server")

_KEEP = 64
"""Recent events of a channel that stay at hand; the engine is asked for more."""
_CAPACITY = 10_000
"""Events that this node may fall behind the engine."""


class EngineChannel(Channel):
    """`private-room.X`, `private-call.X` or `private-user.X`. The parties of a call also talk to each other there."""

    def __init__(self, name: str, kind: ChannelKind, around: Surroundings) -> None:
        super().__init__(name, kind, around)
        self._engine = around.engine
        self._talk = Talk(self, around) if kind.talks else None
        self._subscription: Subscription
        # The newest event that was handed out, or is being handed out right now.
        self._head: Head
        self._recent = Recent(_KEEP)
        self._taken = 0
        self._handing_out = False
        # Those who wait for the next event to be handed out, or the end.
        self._waiting: list[asyncio.Future[None]] = []
        self._leaving: list[Follower] = []
        self._closed = False

    @property
    def is_live(self) -> bool:
        """Whether events come."""
        return self._opened and not self._closed

    async def join(self, socket: Socket, actor: Actor, recover: Recover | None, good_until: float = inf) -> None:
        """Let a socket follow, from now on or from a place, as the actor. Raises as `Engine.admit` does."""
        follower = Follower(self, socket, actor.identity, good_until)
        follower.admission = await self._engine.admit(self.name, follower.ended, actor=actor)
        try:
            await self.ready()
            missed = None if recover is None else await self._missed(recover)
            # No wait from here on: what was not missed comes live.
            if follower.ending is not None:
                raise follower.ending.refusal or Conflict("there is nothing more to follow here")
            if self._closed:
                raise Closed("the stream of events broke; subscribe again")
        except BaseException:
            self._engine.dismiss(follower.admission)
            raise
        self._take(follower)
        recovered = None if recover is None else missed is not None
        answer = frames.subscribed(self.name, head=self._head, recovered=recovered)
        socket.send_all([answer, *(published.frame for published in missed or ())])

    def end(self, follower: Follower) -> None:
        """The engine lets somebody go: after the events that it has published and we have not handed out yet."""
        waiting = len(self._subscription.events) if self._opened else 0
        assert follower.ending is not None
        follower.ending.after = self._taken + waiting
        if waiting or self._handing_out:
            self._leaving.append(follower)
        else:
            self._dismiss(follower)

    def close(self) -> None:
        self._closed = True
        self._wake()
        if self._talk is not None:
            self._talk.close()
        if self._opened:
            self._engine.unsubscribe(self._subscription)

    async def _open(self) -> None:
        self._subscription = await self._engine.subscribe(self.name, capacity=_CAPACITY)
        self._head = self._subscription.head
        try:
            if self._talk is not None:
                await self._talk.open()
            self._around.scope.start(self._run, name=self.name)
        except BaseException:
            self._engine.unsubscribe(self._subscription)
            raise

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _left(self, place: Place) -> None:
        assert isinstance(place, Follower)
        admission, place.admission = place.admission, None
        assert admission is not None
        self._engine.dismiss(admission)

    async def _run(self) -> None:
        try:
            while True:
                await self._follow()
                if self._closed or not await self._resume():
                    return
        except Exception:
            log.exception("handing out the events of %s failed", self.name)
        finally:
            # Nobody is left here who believes that silence means peace.
            self._lose()

    async def _follow(self) -> None:
        """Hand out events until the stream ends."""
        try:
            async for envelope in self._subscription.events:
                await self._publish(envelope)
        except UTDStreamException as error:
            log.info("the stream of %s broke: %s", self.name, error)

    async def _publish(self, envelope: Envelope) -> None:
        self._taken += 1
        self._head = Head(envelope.epoch, envelope.offset)
        published = self._recent.add(envelope)
        if self.places:
            self._handing_out = True
            await self.hand_out(published.frame)
            self._handing_out = False
        self._wake()
        if self._leaving:
            leaving, self._leaving = self._leaving, []
            for follower in leaving:
                if follower.ending is not None and follower.ending.after > self._taken:
                    self._leaving.append(follower)
                else:
                    self._dismiss(follower)

    async def _resume(self) -> bool:
        """Go on right after the last event; whether that was possible without a hole."""
        place = Recover(self._head.epoch, self._head.offset)
        try:
            subscription = await self._engine.subscribe(self.name, recover=place, capacity=_CAPACITY)
        except UTDStreamException as error:
            log.info("the stream of %s cannot be resumed: %s", self.name, error)
            return False
        self._subscription = subscription
        if not subscription.recovered or self._closed:
            self._engine.unsubscribe(subscription)
            return False
        return True

    def _lose(self) -> None:
        self.close()
        for socket in list(self.places):
            socket.close(CloseCode.RECONNECT, "events were lost on their way; come back and recover")
        self._around.on_unused(self)

    def _dismiss(self, follower: Follower) -> None:
        if follower.is_held and follower.ending is not None:
            self.leave(follower)
            refusal = follower.ending.refusal
            told = frames.unsubscribed(self.name) if refusal is None else frames.subscription_error(self.name, refusal)
            follower.socket.send(told)

    async def _missed(self, place: Recover) -> list[Published] | None:
        """Everything after the place, up to what was handed out; None when that cannot be had."""
        if self._is_behind(place) and not await self._reach(place):
            return None
        if (count := self._distance(place)) is None:
            return None
        missed = self._recent.newest(count)
        if missed is None:
            missed = await self._fetch(place)
        if missed is not None and sum(len(published.frame.raw) for published in missed) > self._most_bytes:
            return None
        return missed

    async def _reach(self, place: Recover) -> bool:
        """Wait until as much was handed out here as somebody has heard already, by another node; False where there is
        no such place. They ask one after the other: where the first one arrives, most of the others are, too."""
        async with self._opening:
            if self._is_behind(place):
                reached = await self._engine.subscribe(self.name, recover=place, capacity=self._most_events)
                self._engine.unsubscribe(reached)
                if not reached.recovered:
                    return False
        # It is in the stream by now, or in the one that this one is resumed by.
        while self._is_behind(place) and self.is_live:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        return True

    async def _fetch(self, place: Recover) -> list[Published] | None:
        """What the engine still has, one caller after the other: what the first one fetches is there for the others."""
        async with self._opening:
            count = self._distance(place)
            if count is None or (missed := self._recent.newest(count)) is not None:
                return None if count is None else missed
            fetched = await self._engine.subscribe(self.name, recover=place, capacity=self._most_events)
            try:
                older = iter(fetched.events.get_nowait, None) if fetched.recovered else ()
                self._recent.extend_back([event for event in older if event.offset <= self._head.offset])
            finally:
                self._engine.unsubscribe(fetched)
            count = self._distance(place)
            return None if count is None else self._recent.newest(count)

    def _is_behind(self, place: Recover) -> bool:
        """Whether the place is one that nothing was handed out from yet."""
        return place.epoch == self._head.epoch and self._head.offset < place.offset

    def _distance(self, place: Recover) -> int | None:
        """How many events were handed out since the place; None where that is no place to go on from."""
        count = self._head.offset - place.offset
        return count if place.epoch == self._head.epoch and 0 <= count <= self._most_events else None

    @property
    def _most_events(self) -> int:
        return self._around.settings.replay_events

    @property
    def _most_bytes(self) -> int:
        # What is replayed is only half of what may wait: live events come behind it.
        return self._around.settings.queue_bytes // 2


class Ending:
    """The engine has let somebody go. `after`: how many events the channel has taken then."""

    __slots__ = ("after", "refusal")

    def __init__(self, refusal: UTDStreamException | None) -> None:
        self.refusal = refusal
        self.after = 0


class Follower(Place):
    """A place that the engine gave, and may end."""

    __slots__ = ("_followed", "admission", "ending")

    def __init__(self, channel: EngineChannel, socket: Socket, user_id: str, good_until: float) -> None:
        super().__init__(channel, socket, user_id, good_until)
        self._followed = channel
        self.admission: Admission | None = None
        self.ending: Ending | None = None

    def ended(self, error: Exception | None) -> None:
        """The engine says that this is the end."""
        if not (error is None or isinstance(error, UTDStreamException)):
            error = Forbidden("you may not follow this channel any more")
        self.ending = Ending(error)
        self._followed.end(self)
