"""The way from the server to one client: signals, data and frames, and what can go wrong with them.

Without latency and faults everything arrives within the call that sends it. Otherwise three lines carry it,
each in order: signals (reliable; while the signal connection is down they wait), data, frames.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from utd_core.concurrency import Overflow
from utd_core.media.conditions import quality_of
from utd_core.media.events import ConnectionQuality, DataReceived, DisconnectReason
from utd_core.media.frames import Frame

from .agenda import Agenda, Timer
from .line import DelayLine
from .messages import Message
from .network import Network
from .tracks import Subscription

_SIGNALS_UNDER_WAY = 10_000
_MEDIA_UNDER_WAY = 10_000


class Client(Protocol):
    """The far end of a link."""

    def receive(self, message: Message) -> None:
        """A message of the server has arrived."""

    def interrupted(self) -> None:
        """The client notices that its signal connection is gone."""

    def resumed(self) -> None:
        """The signal connection is back, and everything missed meanwhile has been received."""

    def lost(self, reason: DisconnectReason) -> None:
        """The client gives up."""


@dataclass(slots=True)
class Impairment:
    """What is wrong with one link. `jitter`, `burst`: seconds, 0 is none; `loss`: share from 0 to 1."""

    loss: float
    jitter: float
    burst: float = 0.0
    burst_from: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.loss or self.jitter or self.burst)


class Link:
    """`rerouted()` is called when frames must take another way from now on, `rated()` when the way is better or worse
    than before."""

    def __init__(
        self,
        agenda: Agenda,
        network: Network,
        chance: random.Random,
        client: Client,
        rerouted: Callable[[], None],
        rated: Callable[[], None],
    ) -> None:
        self.client = client
        self._agenda = agenda
        self._network = network
        self._latency = network.latency
        self._impairment = Impairment(network.loss, network.jitter)
        self._chance = chance
        self._rerouted = rerouted
        self._rated = rated
        self._cut = self._down = self._dead = self._ended = False
        self._outages = 0
        self._timers: list[Timer] = []
        self._signals: DelayLine[Message | None] = DelayLine(
            agenda, self._hand_over, capacity=_SIGNALS_UNDER_WAY, overflow=Overflow.CLOSE
        )
        self._data: DelayLine[Message | None] = DelayLine(
            agenda, self._hand_over, capacity=_SIGNALS_UNDER_WAY, overflow=Overflow.CLOSE
        )
        self._frames: DelayLine[tuple[Subscription, Frame]] = DelayLine(
            agenda, self._deliver_frame, capacity=_MEDIA_UNDER_WAY, overflow=Overflow.DROP_NEWEST, drained=rerouted
        )

    @property
    def round_trip(self) -> float:
        """Seconds from a request to its answer."""
        return 2 * self._latency

    @property
    def is_down(self) -> bool:
        """The signal connection is interrupted."""
        return self._down

    @property
    def is_cut(self) -> bool:
        """Frames and data do not pass at all."""
        return self._cut

    @property
    def is_direct(self) -> bool:
        """Frames arrive within the call that sends them."""
        return not self._latency and not self._impairment and self._frames.empty

    @property
    def quality(self) -> ConnectionQuality:
        """How good the way is now."""
        if self._cut or self._down:
            return ConnectionQuality.LOST
        wrong = self._impairment
        return quality_of(loss=wrong.loss, round_trip=self.round_trip, jitter=max(wrong.jitter, wrong.burst))

    def signal(self, message: Message) -> None:
        """Send a message of the server; it arrives once, in order."""
        if self._ended:
            return
        if self._down or self._latency or not self._signals.empty:
            self._reliably(self._signals, message)
        else:
            self.client.receive(message)

    def data(self, message: DataReceived) -> None:
        """Send a data message; an unreliable one can get lost."""
        if self._ended or (not message.reliable and (self._cut or self._is_lost())):
            return
        due = self._due()
        if self._cut or not self._data.empty or due > self._agenda.clock.monotonic():
            self._reliably(self._data, message, due)
        else:
            self.client.receive(message)

    def carry(self, subscription: Subscription, frame: Frame) -> None:
        """Send one frame over an impaired link; frames keep their order."""
        if self._ended or self._is_lost():
            subscription.lose(frame)
            return
        due = self._due()
        if self._impairment.burst:
            due = self._next_burst(due)
        if due <= self._agenda.clock.monotonic() and self._frames.empty:
            subscription.arrive(frame)
        elif not self._frames.send((subscription, frame), due):
            subscription.lose(frame)

    def impair(self, *, loss: float | None = None, jitter: float | None = None, burst: float | None = None) -> None:
        """Change the faults of the frames' way; 0 heals, down to what the network itself is like."""
        if loss is not None:
            self._impairment.loss = max(loss, self._network.loss)
        if jitter is not None:
            self._impairment.jitter = max(jitter, self._network.jitter)
        if burst is not None:
            self._impairment.burst = burst
            self._impairment.burst_from = self._agenda.clock.monotonic()
        self._rerouted()
        self._rated()

    def interrupt(self, *, cut: bool) -> int:
        """Take the signal connection down, and with `cut` frames and data too; the number of this outage.

        An outage during another one prolongs it: only the last one's `resume` counts.
        """
        self._outages += 1
        self._down = True
        self._signals.hold()
        if cut and not self._cut:
            self._cut = True
            self._data.hold()
            self._rerouted()
        self._rated()
        return self._outages

    def kill(self) -> None:
        """Interrupt for good: no outage of this link ends any more."""
        self.interrupt(cut=True)
        self._dead = True

    def is_over(self, outage: int) -> bool:
        """That outage has ended, was prolonged by a later one, or will never end."""
        return outage != self._outages or not self._down or self._dead or self._ended

    def resume(self) -> None:
        """End the outage: what was held arrives first, then the client is told."""
        self._cut = self._down = False
        self._reliably(self._signals, None)
        self._signals.release()
        self._data.release()
        self._rerouted()
        self._rated()

    def after(self, seconds: float, fire: Callable[[], object]) -> None:
        """Call `fire` in `seconds`, unless the link has ended by then."""
        self._timers = [timer for timer in self._timers if timer.due > self._agenda.clock.monotonic()]
        self._timers.append(self._agenda.after(seconds, fire))

    def end(self) -> None:
        """Nothing arrives any more. Idempotent."""
        self._ended = True
        for timer in self._timers:
            self._agenda.cancel(timer)
        for line in (self._signals, self._data, self._frames):
            line.close()

    def _reliably(self, line: DelayLine[Message | None], message: Message | None, due: float | None = None) -> None:
        if not line.send(message, self._agenda.clock.monotonic() + self._latency if due is None else due):
            # A client so far behind has lost its place for good, as on a real server.
            self.client.lost(DisconnectReason.SIGNAL_LOST)

    def _hand_over(self, message: Message | None) -> None:
        if message is None:
            self.client.resumed()
        else:
            self.client.receive(message)

    def _deliver_frame(self, item: tuple[Subscription, Frame]) -> None:
        subscription, frame = item
        if self._cut:
            subscription.lose(frame)
        else:
            subscription.arrive(frame)

    def _is_lost(self) -> bool:
        return self._impairment.loss > 0 and self._chance.random() < self._impairment.loss

    def _due(self) -> float:
        jitter = self._impairment.jitter
        return self._agenda.clock.monotonic() + self._latency + (self._chance.random() * jitter if jitter else 0.0)

    def _next_burst(self, due: float) -> float:
        since, period = self._impairment.burst_from, self._impairment.burst
        return since + ((due - since) // period + 1) * period
