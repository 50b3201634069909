"""Events of one link: a connection when somebody follows a channel, and another one when that is lost.

Whoever follows a channel hears of a loss by the end of the queue, and subscribes again from where it was; that opens
the next connection. So how long one tries, and how often, is the readers' own policy; what is obeyed here is what the
server says by the code of its close, and that a connection that does not last is not opened again at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from ...broker.base import Recover, Subscription
from ...concurrency import Clock, TaskScope, within
from ...errors import DeadlineExceeded, Unauthenticated, Unavailable, UTDStreamException
from ...media.signalling import SignallingDesk
from ...store.base import Head
from ..policy import RetryPolicy
from .credentials import Credentials
from .dialogue import Dialogue
from .errands import Shared
from .protocol import socket_url
from .settings import RemoteSettings
from .transport import Transport

log = logging.getLogger("utd_core.client")

_LATER = range(4100, 4200)
_A_WHILE = 1.0
"""Seconds after which a server wants a client back that it closed with such a code."""


class Events:
    """Follows channels. `address` answers where the server says that the socket is; where it does not, `base_url` and
    `key` tell."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        scope: TaskScope,
        clock: Clock,
        settings: RemoteSettings,
        retry: RetryPolicy,
        *,
        address: Callable[[], str | None],
        base_url: str,
        key: str,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._scope = scope
        self._clock = clock
        self._settings = settings
        self._address = address
        self._base_url = base_url
        self._key = key
        self._pauses = Pauses(clock, retry)
        self._dialogue: Dialogue | None = None
        self._connecting = Shared(scope, self._connect, "connect")
        # Where a channel has an event that cannot be read, so that nobody recovers from before it.
        self._unreadable: dict[str, Head] = {}

    async def subscribe(self, channel: str, recover: Recover | None) -> Subscription:
        """Follow a channel. Raises what the server refuses it with, `Unauthenticated`, `Unavailable`,
        `DeadlineExceeded` and `Closed`."""
        at_hand = self._dialogue
        if at_hand is not None:
            try:
                return await self._follow(at_hand, channel, recover)
            except Unavailable:
                # A connection may have died while nobody spoke on it; whether the server is there, a fresh one tells.
                if not at_hand.is_over:
                    raise
        return await self._follow(await self._connecting(), channel, recover)

    async def _follow(self, dialogue: Dialogue, channel: str, recover: Recover | None) -> Subscription:
        hole = self._unreadable.get(channel)
        if recover is not None and hole is not None and hole.epoch == recover.epoch and recover.offset < hole.offset:
            recover = None
        try:
            return await within(
                self._clock,
                self._settings.request_timeout,
                dialogue.channels.follow(channel, recover),
                f"the server did not answer the subscription to {channel!r}",
            )
        except DeadlineExceeded:
            # On a connection that works nothing gets lost, so this one does not.
            dialogue.hang_up()
            raise

    async def subscribe_with_lines(self, channel: str) -> tuple[Subscription, SignallingDesk]:
        """Follow a channel, and open lines of signalling on it as long as that lasts. Raises as `subscribe`."""
        subscription = await self.subscribe(channel, None)
        dialogue = self._dialogue
        if dialogue is None or subscription.events.closed:
            raise Unavailable("the socket was lost at once")
        return subscription, dialogue.lines.desk(channel)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent."""
        subscription.events.close()
        if self._dialogue is not None:
            self._dialogue.channels.unfollow(subscription)

    async def reach(self, channel: str, place: Head) -> None:
        """Wait for the events up to a place of a channel that is followed. Where they do not come in time, its readers
        are made to ask for them."""
        dialogue = self._dialogue
        if dialogue is None or not dialogue.channels.is_behind(channel, place):
            return
        try:
            await within(self._clock, self._settings.catch_up_timeout, dialogue.channels.reach(channel, place), "late")
        except DeadlineExceeded:
            log.warning("events of %s are overdue: %d was answered, but has not come", channel, place.offset)
            dialogue.channels.give_up(channel)

    def renewed(self, token: str) -> None:
        """The user has a fresh token."""
        if self._dialogue is not None:
            self._dialogue.sign_in(token)

    async def _connect(self) -> Dialogue:
        await self._pauses.over(self._credentials.identity)
        token = self._credentials.token()
        try:
            return await self._open(token)
        except Unauthenticated:
            # The token may have lost its worth before its time.
            return await self._open(await self._credentials.renew(token))

    async def _open(self, token: str) -> Dialogue:
        """Raises `Unavailable`, `DeadlineExceeded`, and what the server's code means."""
        url = socket_url(self._address(), self._base_url, self._key)
        dialogue = Dialogue(self._transport, self._clock, self._settings, self._note_unreadable)
        self._scope.start(self._run, dialogue, url, token, name="events")
        try:
            await within(
                self._clock, self._settings.request_timeout, dialogue.opened, f"no socket could be opened to {url}"
            )
        except BaseException:
            dialogue.hang_up()
            raise
        if not dialogue.is_over:
            self._dialogue = dialogue
        return dialogue

    async def _run(self, dialogue: Dialogue, url: str, token: str) -> None:
        began = self._clock.monotonic()
        try:
            await dialogue.run(url, token)
        except UTDStreamException as error:
            log.warning("the socket failed: %s", error)
        finally:
            if self._dialogue is dialogue:
                self._dialogue = None
            self._pauses.ended(dialogue.code, self._clock.monotonic() - began)
        log.info("the socket to %s was lost (%d)", self._base_url, dialogue.code)

    def _note_unreadable(self, channel: str, place: Head, type: str) -> None:
        log.warning("%s: %r is an event of another version; the state is read anew", channel, type)
        self._unreadable[channel] = place


class Pauses:
    """When the next connection may be opened."""

    def __init__(self, clock: Clock, retry: RetryPolicy) -> None:
        self._clock = clock
        self._retry = retry
        self._waits: Iterator[float] | None = None
        self._lived: float | None = None
        self._code = 0
        self._ended_at = 0.0

    def ended(self, code: int, lived: float) -> None:
        """A connection ended with a code, after so many seconds."""
        self._code, self._lived, self._ended_at = code, lived, self._clock.monotonic()

    async def over(self, identity: str) -> None:
        """Wait until it is time: not at all at first, and only as long as it takes that a thousand clients of a server
        that went down do not come in the same instant; longer and longer where connections do not last."""
        lived, self._lived = self._lived, None
        if lived is None:
            return
        if self._waits is None or lived > self._retry.longest_wait:
            self._waits = chain(self._retry.waits(identity), repeat(self._retry.longest_wait))
            pause = next(self._waits) - self._retry.first_wait
        else:
            pause = next(self._waits)
        if self._code in _LATER:
            pause += _A_WHILE
        await self._clock.sleep(max(0.0, self._ended_at + pause - self._clock.monotonic()))
