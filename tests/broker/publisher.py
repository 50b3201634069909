"""Events that are committed and published as an engine does it, and readers of what arrives."""

from __future__ import annotations

from utd_core.broker import LocalBroker, Subscription
from utd_core.model.room import HostReturned
from utd_core.store import Commit, Envelope, Store

CHANNEL = "private-room.lobby"


async def commit(store: Store, count: int = 1, channel: str = CHANNEL, *, at: float = 0.0) -> list[Envelope]:
    """The next events, durable and not yet published."""
    head = await store.head(channel)
    envelopes = [
        Envelope(channel, head.epoch, head.offset + n, "room", "lobby", at, HostReturned(str(head.offset + n)))
        for n in range(1, count + 1)
    ]
    await store.commit(Commit(events=envelopes))
    return envelopes


async def publish(store: Store, broker: LocalBroker, count: int = 1, channel: str = CHANNEL) -> list[Envelope]:
    """The next events, each in a commit of its own."""
    published = []
    for _ in range(count):
        envelopes = await commit(store, 1, channel)
        broker.publish(envelopes)
        published += envelopes
    return published


def read(subscription: Subscription) -> list[int]:
    """The offsets that wait to be read."""
    offsets = []
    while (envelope := subscription.events.get_nowait()) is not None:
        offsets.append(envelope.offset)
    return offsets
