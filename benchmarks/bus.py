"""Messages between two nodes over Redis, beside raw redis-py on the same Redis.

Both nodes are in one process and on one event loop, as is what raw redis-py does: a client that publishes, and a
`PubSub` that listens. A message has 200 bytes; "64 callers" publish at once, each waiting for its own to be taken. The
time of a message is from before it is published until it is heard; that of a question until its answer is there, which
is two messages.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter

from redis.asyncio import Redis

from tests.redis import RedisServer
from utd_core.bus import LocalMessages, MessageBus, Questions
from utd_core.bus.redis import RedisMessages

from . import AtLeast, Baseline, Result

MESSAGE = b"x" * 200
MESSAGES = 12_800
CALLERS = 64
ONE_BY_ONE = 1_000
ROUNDS = 5
"""Each figure is the best of these: what the machine can do when it is left alone."""

Publish = Callable[[bytes], Awaitable[object]]


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0
        self._expected = 0
        self._done = asyncio.Event()

    async def hear(self, message: bytes) -> None:
        self.heard += 1
        if self.heard == self._expected:
            self._done.set()

    def expect(self, more: int) -> asyncio.Event:
        """Is set when so many more were heard."""
        self._expected, self._done = self.heard + more, asyncio.Event()
        return self._done


def run() -> list[Result]:
    server = RedisServer()
    try:
        server.start()
        return asyncio.run(measure(server.url))
    finally:
        server.close()


async def measure(url: str) -> list[Result]:
    rates, raw_rates, times, raw_times, ask_times, ask_rates = [], [], [], [], [], []
    async with (
        RedisMessages(url) as one,
        RedisMessages(url) as other,
        Questions(one) as asker,
        Questions(other) as answerer,
        Redis.from_url(url) as publisher,
        Redis.from_url(url) as listener,
    ):
        ear, raw_ear = Ear(), Ear()
        await other.subscribe("bench", ear.hear)
        await answerer.answer("echo", echo)
        pubsub = listener.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("raw")
        await pubsub.get_message(timeout=5)

        async def listen() -> None:
            async for message in pubsub.listen():
                await raw_ear.hear(message["data"])

        listening = asyncio.ensure_future(listen())

        async def publish(message: bytes) -> None:
            await one.publish("bench", message)

        async def raw_publish(message: bytes) -> None:
            await publisher.publish("raw", message)

        async def ask(message: bytes) -> None:
            await asker.ask("echo", message, 10)

        for _ in range(ROUNDS):
            gc.collect()
            rates.append(await heard_per_second(publish, ear))
            raw_rates.append(await heard_per_second(raw_publish, raw_ear))
            times.append(await time_of_one(publish, ear))
            raw_times.append(await time_of_one(raw_publish, raw_ear))
            ask_rates.append(await asked_per_second(ask))
            ask_times.append(await time_of_one(ask))
        listening.cancel()
        await asyncio.wait([listening])
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's
    async with LocalMessages() as bus:
        local = max([await local_rate(bus) for _ in range(ROUNDS)])
    raw = Baseline("raw redis-py", max(raw_rates))
    return [
        Result(f"messages, {CALLERS} callers", max(rates), "1/s", AtLeast(max(raw_rates)), raw),
        Result("publish to heard, one by one", min(times), "ms", baseline=Baseline("raw redis-py", min(raw_times))),
        Result(f"questions answered, {CALLERS} callers", max(ask_rates), "1/s"),
        Result("ask to answer, one by one", min(ask_times), "ms", baseline=Baseline("one message", min(times))),
        Result("messages in one process", local, "1/s"),
    ]


async def echo(payload: bytes) -> bytes:
    return payload


async def heard_per_second(publish: Publish, ear: Ear) -> float:
    done = ear.expect(MESSAGES)
    began = perf_counter()
    await at_once(publish)
    await done.wait()
    return MESSAGES / (perf_counter() - began)


async def asked_per_second(ask: Publish) -> float:
    began = perf_counter()
    await at_once(ask)
    return MESSAGES / (perf_counter() - began)


async def at_once(operation: Publish) -> None:
    async def some() -> None:
        for _ in range(MESSAGES // CALLERS):
            await operation(MESSAGE)

    await asyncio.gather(*(some() for _ in range(CALLERS)))


async def time_of_one(operation: Publish, ear: Ear | None = None) -> float:
    """Milliseconds, the median."""
    times = []
    for _ in range(ONE_BY_ONE):
        done = None if ear is None else ear.expect(1)
        began = perf_counter()
        await operation(MESSAGE)
        if done is not None:
            await done.wait()
        times.append(perf_counter() - began)
    return median(times) * 1e3


async def local_rate(bus: MessageBus) -> float:
    ear = Ear()
    listener = await bus.subscribe("bench", ear.hear)

    async def publish(message: bytes) -> None:
        await bus.publish("bench", message)

    try:
        return await heard_per_second(publish, ear)
    finally:
        bus.unsubscribe(listener)
