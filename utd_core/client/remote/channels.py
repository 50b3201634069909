"""The channels that are followed over one connection, each of them by one or more readers.

Nothing here knows a socket or a time: what is to be said goes to `say`, what was heard comes by the other methods.
The server knows one subscription per channel; the readers that share it get their events from where each of them asked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from copy import copy

from ...broker.base import Recover, Subscription
from ...concurrency import BoundedQueue, Overflow
from ...errors import Closed, Unavailable, UTDStreamException
from ...store.base import Envelope, Head
from . import protocol


class Following:
    """One channel. `place`: the last event that was handed out; None until the server has answered.

    `head`: the newest place that is known; events up to there may still be on their way.
    """

    def __init__(self, channel: str, recover: Recover | None) -> None:
        self.channel = channel
        self.recover = recover
        self.place: Head | None = None
        self.head: Head | None = None
        self.joining: dict[asyncio.Future[Subscription], Recover | None] = {}
        self.readers: dict[Subscription, int] = {}
        self.waiting: dict[asyncio.Future[None], int] = {}

    @property
    def is_used(self) -> bool:
        return bool(self.joining or self.readers)

    def begin(self, head: Head, recovered: bool) -> None:
        """The server has answered: events come from the place that was asked for, or from now on."""
        asked = self.recover
        honest = recovered and asked is not None and asked.epoch == head.epoch and asked.offset <= head.offset
        self.place = Head(head.epoch, asked.offset) if honest and asked is not None else head
        self.head = head

    def admit(self, recover: Recover | None, capacity: int) -> Subscription:
        """A reader more: from the place it asks for if events come from there, else from the newest place on."""
        place, head = self.place, self.head
        assert place is not None
        assert head is not None
        recovered = (
            recover is not None and recover.epoch == place.epoch and place.offset <= recover.offset <= head.offset
        )
        queue: BoundedQueue[Envelope] = BoundedQueue(capacity, Overflow.CLOSE)
        subscription = Subscription(self.channel, head, recovered, queue)
        self.readers[subscription] = recover.offset if recovered and recover is not None else head.offset
        return subscription

    def hand_out(self, envelope: Envelope) -> bool:
        """Give the next event to all readers; False where it is not the next one."""
        place, head = self.place, self.head
        if place is None or head is None or envelope.epoch != place.epoch or envelope.offset > place.offset + 1:
            return False
        if envelope.offset <= place.offset:
            return True
        self.place = Head(envelope.epoch, envelope.offset)
        if envelope.offset > head.offset:
            self.head = self.place
        for subscription, after in list(self.readers.items()):
            # A queue that is full closes itself.
            if envelope.offset > after and not subscription.events.put(envelope):
                del self.readers[subscription]
        for waiter, offset in list(self.waiting.items()):
            if offset <= envelope.offset:
                self._wake(waiter)
        return True

    def end(self, parting: Exception | None, refusal: UTDStreamException) -> None:
        """Nothing follows: readers are told `parting`, who waits to become one is refused."""
        for subscription in self.readers:
            subscription.events.close(parting)
        self.readers.clear()
        for joining in self.joining:
            if not joining.done():
                joining.set_exception(copy(refusal))
        self.joining.clear()
        for waiter in list(self.waiting):
            self._wake(waiter)

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        del self.waiting[waiter]
        if not waiter.done():
            waiter.set_result(None)


class Channels:
    """All that is followed. `unreadable(channel, place)`: there is an event that this version cannot read."""

    def __init__(self, say: Callable[[str], None], capacity: int, unreadable: Callable[[str, Head, str], None]) -> None:
        self._say = say
        self._capacity = capacity
        self._unreadable = unreadable
        self._following: dict[str, Following] = {}
        # Subscribes that the server has not answered yet, the oldest first; some of them nobody wants any more.
        self._asked: defaultdict[str, deque[Following]] = defaultdict(deque)
        self._over: UTDStreamException | None = None

    async def follow(self, channel: str, recover: Recover | None) -> Subscription:
        """Become a reader. Raises what the server refuses it with. Whoever gives up is none."""
        if self._over is not None:
            raise copy(self._over)
        following = self._following.get(channel)
        if following is None:
            following = self._following[channel] = Following(channel, recover)
            self._asked[channel].append(following)
            self._say(protocol.subscribe(channel, recover))
        if following.place is not None:
            return following.admit(recover, self._capacity)
        joining: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()
        following.joining[joining] = recover
        try:
            return await joining
        except BaseException:
            following.joining.pop(joining, None)
            if joining.done() and not joining.cancelled() and joining.exception() is None:
                following.readers.pop(joining.result(), None)
            self._forget_unused(following)
            raise

    def unfollow(self, subscription: Subscription) -> None:
        """A reader less. Idempotent."""
        following = self._following.get(subscription.channel)
        if following is not None and following.readers.pop(subscription, None) is not None:
            self._forget_unused(following)

    async def reach(self, channel: str, place: Head) -> None:
        """Wait until the events up to a place were handed out, where the channel is followed from before that."""
        following = self._following.get(channel)
        if following is None or following.place is None or following.place.epoch != place.epoch:
            return
        if following.place.offset < place.offset:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            following.waiting[waiter] = place.offset
            try:
                await waiter
            finally:
                following.waiting.pop(waiter, None)

    def is_behind(self, channel: str, place: Head) -> bool:
        """Whether `reach` would wait."""
        following = self._following.get(channel)
        here = None if following is None else following.place
        return here is not None and here.epoch == place.epoch and here.offset < place.offset

    def give_up(self, channel: str) -> None:
        """Events are missing that must be there: its readers ask for them."""
        following = self._following.get(channel)
        if following is not None and following.place is not None:
            self._end(following, Closed(f"events of {channel!r} are overdue; subscribe again"))

    def succeeded(self, channel: str, head: Head | None, recovered: bool) -> None:
        """The server has let us follow."""
        following = self._answered(channel)
        if following is None:
            # Nobody wants that; it is the answer to something that was taken for refused.
            if channel not in self._following:
                self._say(protocol.unsubscribe(channel))
        elif head is None:
            self._end(following, None, Unavailable(f"events of {channel!r} have no place there; is it an engine?"))
        else:
            following.begin(head, recovered)
            joining, following.joining = following.joining, {}
            for future, recover in joining.items():
                if not future.done():
                    future.set_result(following.admit(recover, self._capacity))

    def refused(self, channel: str, error: UTDStreamException) -> None:
        """The server does not let us follow, or not any more."""
        following = self._answered(channel) if self._asked.get(channel) else self._following.get(channel)
        if following is not None:
            self._drop(following, error, error)

    def ended(self, channel: str) -> None:
        """The channel has nothing more to say to us."""
        following = self._following.get(channel)
        if following is not None and following.place is not None:
            self._drop(following, None, Unavailable(f"{channel!r} has ended; look at what it was about"))

    def published(self, envelope: Envelope) -> None:
        """An event."""
        following = self._following.get(envelope.channel)
        if following is None or following.place is None:
            return  # what was let go of still says its last words
        if not following.hand_out(envelope):
            self._end(following, Closed(f"events of {envelope.channel!r} were lost on their way; subscribe again"))
        elif not following.is_used:
            self._forget_unused(following)

    def unreadable(self, channel: str, place: Head, type: str) -> None:
        """An event that this version does not know: what it changes can only be read from a snapshot."""
        self._unreadable(channel, place, type)
        following = self._following.get(channel)
        if following is not None and following.place is not None:
            self._end(following, Closed(f"this version does not know the event {type!r} of {channel!r}; read it anew"))

    def close(self, parting: Exception, refusal: UTDStreamException) -> None:
        """The connection is gone: readers are told `parting`, whoever wants to become one is refused."""
        self._over = refusal
        for following in list(self._following.values()):
            self._drop(following, parting, refusal)
        self._asked.clear()

    def _answered(self, channel: str) -> Following | None:
        """Which subscribe was answered; None where nobody waits for that answer."""
        asked = self._asked.get(channel)
        if not asked:
            return None
        following = asked.popleft()
        if not asked:
            del self._asked[channel]
        return following if self._following.get(channel) is following else None

    def _forget_unused(self, following: Following) -> None:
        if not following.is_used and self._following.get(following.channel) is following:
            self._end(following, None)

    def _end(self, following: Following, parting: Exception | None, refusal: UTDStreamException | None = None) -> None:
        """Follow a channel no longer, which the server does not know yet."""
        self._say(protocol.unsubscribe(following.channel))
        self._drop(following, parting, refusal or Unavailable("given up"))

    def _drop(self, following: Following, parting: Exception | None, refusal: UTDStreamException) -> None:
        if self._following.get(following.channel) is following:
            del self._following[following.channel]
        following.end(parting, refusal)
