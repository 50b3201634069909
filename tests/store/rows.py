"""Small commits to write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from utd_core.concurrency.outside import works_outside
from utd_core.model.event import Event
from utd_core.model.room import HostReturned
from utd_core.store import Answer, Commit, Envelope, Store, StoredState
from utd_core.testing import VirtualClock

ROOM = "room"
CHANNEL = "private-room.lobby"


def state(
    key: str = "lobby",
    version: int = 1,
    *,
    kind: str = ROOM,
    payload: bytes = b"{}",
    deadline: float | None = None,
    ended_at: float | None = None,
) -> StoredState:
    return StoredState(kind, key, version, payload, deadline, ended_at)


def event(text: str = "alice") -> Event:
    return HostReturned(text)


def answer(key: str = "k1", actor: str = "alice", at: float = 0.0, payload: bytes = b"1") -> Answer:
    return Answer(actor, key, f"of {key}", payload, at)


async def envelopes(
    store: Store, count: int = 1, channel: str = CHANNEL, *, after: int | None = None, at: float = 0.0
) -> list[Envelope]:
    """The next events of a channel; `event.identity` is the offset. `after`: not the next but those after that."""
    head = await store.head(channel)
    first = (head.offset if after is None else after) + 1
    return [
        Envelope(channel, head.epoch, offset, ROOM, "lobby", at, event(str(offset)))
        for offset in range(first, first + count)
    ]


async def publish(store: Store, count: int = 1, channel: str = CHANNEL, *, at: float = 0.0) -> list[Envelope]:
    """Commit the next events of a channel."""
    written = await envelopes(store, count, channel, at=at)
    await store.commit(Commit(events=written))
    return written


async def put(store: Store, *states: StoredState) -> None:
    """Commit states that were not there before."""
    await store.commit(Commit(states=[(state, 0) for state in states]))


def offsets(envelopes: Iterable[Envelope] | None) -> list[int] | None:
    return None if envelopes is None else [envelope.offset for envelope in envelopes]


async def assert_time_stands_still_for(store: Store) -> None:
    """Time that is moved by hand waits while the store works."""
    clock = VirtualClock()
    done: list[float] = []

    async def write_then_sleep() -> None:
        for n in range(10):
            await put(store, state(str(n)))
            await clock.sleep(1.0)
            done.append(clock.monotonic())

    task = asyncio.ensure_future(write_then_sleep())
    await clock.advance(10.0)
    assert done == [float(n) for n in range(1, 11)]
    await task
    assert not works_outside(asyncio.get_running_loop())
