"""The mirror's tiers of recovery, against a channel that breaks in every way a channel can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from utd_core.broker.base import Recover, Subscription
from utd_core.client.policy import RetryPolicy
from utd_core.client.state.mirror import Mirror, Snapshot
from utd_core.concurrency import BoundedQueue, Overflow, TaskScope
from utd_core.errors import Closed, Forbidden, StoreFailed, UTDStreamException
from utd_core.model.room import HostReturned
from utd_core.store.base import Envelope, Head
from utd_core.testing import VirtualClock

pytestmark = pytest.mark.parity("U23")

CHANNEL = "private-room.lobby"


@dataclass
class Channel:
    """The engine's side: a log of identities, an epoch, and as much history as it keeps."""

    clock: VirtualClock
    epoch: str = "e1"
    log: list[str] = field(default_factory=list)
    kept: int = 100
    failures: list[UTDStreamException] = field(default_factory=list)
    queues: list[BoundedQueue[Envelope]] = field(default_factory=list)
    reads: int = 0
    capacity: int = 100

    def happen(self, *names: str, deliver: bool = True) -> None:
        for name in names:
            self.log.append(name)
            if deliver:
                for queue in self.queues:
                    queue.put(self.envelope(len(self.log)))

    def envelope(self, offset: int) -> Envelope:
        return Envelope(CHANNEL, self.epoch, offset, "room", "lobby", 0.0, HostReturned(self.log[offset - 1]))

    async def subscribe(self, channel: str, *, recover: Recover | None = None) -> Subscription:
        if self.failures:
            raise self.failures.pop(0)
        queue: BoundedQueue[Envelope] = BoundedQueue(self.capacity, Overflow.CLOSE)
        recovered = False
        if recover is not None and recover.epoch == self.epoch and len(self.log) - recover.offset <= self.kept:
            recovered = True
            for offset in range(recover.offset + 1, len(self.log) + 1):
                queue.put(self.envelope(offset))
        self.queues.append(queue)
        return Subscription(channel, Head(self.epoch, len(self.log)), recovered, queue)

    def unsubscribe(self, subscription: Subscription) -> None:
        if subscription.events in self.queues:
            self.queues.remove(subscription.events)
        subscription.events.close()

    async def read(self, subscription: Subscription) -> Snapshot[list[str]]:
        self.reads += 1
        return Snapshot(list(self.log), self.epoch, len(self.log))


@dataclass
class Notes:
    """What the follower was told."""

    told: list[Any] = field(default_factory=list)
    state: Sequence[str] = ()

    def changed(self, envelope: Envelope | None) -> None:
        self.told.append("all" if envelope is None else envelope.offset)

    def recovering(self) -> None:
        self.told.append("recovering")

    def resynced(self, recovered: bool) -> None:
        self.told.append(f"recovered={recovered}")

    def lost(self, error: UTDStreamException | None) -> None:
        self.told.append(error if error is None else type(error))


def append(names: list[str], envelope: Envelope) -> list[str]:
    event = envelope.event
    assert isinstance(event, HostReturned)
    return [*names, event.identity]


@dataclass
class World:
    clock: VirtualClock
    channel: Channel
    notes: Notes
    mirror: Mirror[list[str]]
    scope: TaskScope


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = VirtualClock()
    channel = Channel(clock, log=["a", "b"])
    notes = Notes()
    mirror: Mirror[list[str]] = Mirror(
        channel,  # type: ignore[arg-type]  # the channel half of a link
        CHANNEL,
        read=channel.read,
        apply=append,
        follower=notes,
        retry=RetryPolicy(first_wait=1.0, longest_wait=4.0, patience=20.0, spread=0.0),
        identity="me",
    )
    scope = TaskScope("world")
    await scope.open()
    await mirror.open()
    scope.start(mirror.run)
    await clock.settle()
    yield World(clock, channel, notes, mirror, scope)
    await scope.aclose()
    assert channel.queues == []


async def test_it_begins_with_the_snapshot_and_applies_every_later_event(world: World) -> None:
    world.channel.happen("c", "d")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d"]
    assert world.notes.told == ["all", 3, 4]
    assert world.channel.reads == 1


async def test_events_that_the_snapshot_holds_already_are_not_applied_twice(world: World) -> None:
    world.channel.queues[0].put(world.channel.envelope(1))
    world.channel.queues[0].put(world.channel.envelope(2))
    world.channel.happen("c")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c"]
    assert world.notes.told == ["all", 3]


async def test_a_short_gap_is_replayed(world: World) -> None:
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d"]
    assert world.notes.told == ["all", "recovering", "recovered=True", 3, 4]
    assert world.channel.reads == 1


async def test_a_longer_gap_means_the_snapshot_again_and_says_so(world: World) -> None:
    world.channel.kept = 1
    world.channel.happen("c", "d", deliver=False)
    world.channel.happen("e")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d", "e"]
    assert world.notes.told == ["all", "recovering", "all", "recovered=False"]
    assert world.channel.reads == 2


async def test_a_new_epoch_means_the_snapshot_again(world: World) -> None:
    world.channel.epoch, world.channel.log = "e2", ["x"]
    world.channel.happen("y")
    await world.clock.settle()
    assert world.mirror.state == ["x", "y"]
    assert world.notes.told == ["all", "recovering", "all", "recovered=False"]
    world.channel.happen("z")
    await world.clock.settle()
    assert world.mirror.state == ["x", "y", "z"]


async def test_a_reader_that_was_too_slow_comes_back_where_it_was(world: World) -> None:
    world.channel.queues[0].capacity = 2
    world.channel.happen("c", "d", "e", "f")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d", "e", "f"]
    assert world.notes.told == ["all", 3, 4, "recovering", "recovered=True", 5, 6]


async def test_it_waits_longer_and_longer_while_the_engine_does_not_answer(world: World) -> None:
    world.channel.failures = [StoreFailed("away"), StoreFailed("away"), StoreFailed("away")]
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    await world.clock.advance(6.9)
    assert world.notes.told == ["all", "recovering"]
    await world.clock.advance(0.2)
    assert world.notes.told == ["all", "recovering", "recovered=True", 3, 4]


async def test_it_gives_up_when_patience_ends_and_says_why(world: World) -> None:
    world.channel.failures = [StoreFailed("away")] * 100
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    await world.clock.advance(60.0)
    assert world.notes.told == ["all", "recovering", StoreFailed]
    assert world.mirror.state == ["a", "b"]


@pytest.mark.parametrize("error", [Forbidden("removed"), Closed("the engine was closed")])
async def test_a_refusal_while_recovering_is_the_end(world: World, error: UTDStreamException) -> None:
    world.channel.failures = [error]
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    await world.clock.settle()
    assert world.notes.told == ["all", "recovering", type(error)]


async def test_a_channel_that_lets_go_with_an_error_is_lost_with_it_after_its_events(world: World) -> None:
    world.channel.happen("c")
    world.channel.queues[0].close(Forbidden("removed"))
    await world.clock.settle()
    assert world.notes.told == ["all", 3, Forbidden]


async def test_a_channel_that_ends_is_lost_without_an_error(world: World) -> None:
    world.channel.queues[0].close()
    await world.clock.settle()
    assert world.notes.told == ["all", None]


async def test_catching_up_applies_what_has_arrived_and_no_event_twice(world: World) -> None:
    world.channel.happen("c", "d")
    world.mirror.catch_up()
    assert world.mirror.state == ["a", "b", "c", "d"]
    await world.clock.settle()
    assert world.notes.told == ["all", 3, 4]


async def test_catching_up_into_a_gap_recovers(world: World) -> None:
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    world.mirror.catch_up()
    assert world.mirror.state == ["a", "b"]
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d"]


async def test_an_event_that_cannot_be_applied_is_logged_and_the_snapshot_is_read_instead(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    apply = world.mirror._apply

    def stumble(names: list[str], envelope: Envelope) -> list[str]:
        if envelope.offset == 4:
            raise KeyError("what is this?")
        return apply(names, envelope)

    world.mirror._apply = stumble
    caplog.set_level("CRITICAL")
    world.channel.happen("c", "d", "e")
    await world.clock.settle()
    assert world.mirror.state == ["a", "b", "c", "d", "e"]
    assert world.notes.told == ["all", 3, "recovering", "all", "recovered=False"]
    world.channel.happen("f")
    await world.clock.settle()
    assert world.notes.told[-1] == 6


async def test_an_open_that_fails_holds_no_subscription(world: World) -> None:
    async def fail(subscription: Subscription) -> Snapshot[list[str]]:
        raise StoreFailed("away")

    held = list(world.channel.queues)
    other: Mirror[list[str]] = Mirror(
        world.channel,  # type: ignore[arg-type]  # the channel half of a link
        CHANNEL,
        read=fail,
        apply=append,
        follower=world.notes,
        retry=RetryPolicy(),
        identity="me",
    )
    with pytest.raises(StoreFailed):
        await other.open()
    assert world.channel.queues == held


async def test_stopping_ends_it_wherever_it_is(world: World) -> None:
    world.channel.failures = [StoreFailed("away")] * 100
    world.channel.happen("c", deliver=False)
    world.channel.happen("d")
    await world.clock.settle()
    world.mirror.stop()
    await world.clock.settle()
    assert world.channel.queues == []
    assert world.clock.pending == ()
