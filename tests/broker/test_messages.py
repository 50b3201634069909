"""Messages between the nodes of a server, on a node that is alone."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.broker import LocalMessages, MessageBus
from utd_core.errors import Closed


class Ear:
    """Keeps what it hears; may take its time."""

    def __init__(self, turns: int = 0) -> None:
        self.heard: list[bytes] = []
        self.turns = turns

    async def hear(self, message: bytes) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.heard.append(message)


def test_is_a_message_bus() -> None:
    _: type[MessageBus] = LocalMessages


async def test_everybody_on_the_topic_hears_and_nobody_else() -> None:
    bus, ears = LocalMessages(), [Ear(), Ear(), Ear()]
    for topic, ear in zip(("a", "a", "b"), ears, strict=True):
        await bus.subscribe(topic, ear.hear)
    await bus.publish("a", b"1")
    await bus.publish("c", b"2")
    assert [ear.heard for ear in ears] == [[b"1"], [b"1"], []]


async def test_publishers_at_once_are_heard_by_all_in_one_order() -> None:
    bus, ears = LocalMessages(), [Ear(turns) for turns in (3, 0, 5)]
    for ear in ears:
        await bus.subscribe("a", ear.hear)
    await asyncio.gather(*(bus.publish("a", b"%d" % number) for number in range(10)))
    assert ears[0].heard == ears[1].heard == ears[2].heard == [b"%d" % number for number in range(10)]


async def test_whoever_has_unsubscribed_hears_nothing() -> None:
    bus, ear, other = LocalMessages(), Ear(), Ear()
    listener = await bus.subscribe("a", ear.hear)
    await bus.subscribe("a", other.hear)
    bus.unsubscribe(listener)
    bus.unsubscribe(listener)
    await bus.publish("a", b"1")
    assert (ear.heard, other.heard) == ([], [b"1"])


async def test_one_may_unsubscribe_while_it_hears() -> None:
    bus, other = LocalMessages(), Ear()

    async def once(_: bytes) -> None:
        bus.unsubscribe(listener)

    listener = await bus.subscribe("a", once)
    await bus.subscribe("a", other.hear)
    await bus.publish("a", b"1")
    assert other.heard == [b"1"]


async def test_is_closed_once_and_for_all() -> None:
    bus, ear = LocalMessages(), Ear()
    await bus.open()
    listener = await bus.subscribe("a", ear.hear)
    await bus.aclose()
    await bus.aclose()
    bus.unsubscribe(listener)
    for operation in (bus.open(), bus.publish("a", b"1"), bus.subscribe("a", ear.hear)):
        with pytest.raises(Closed):
            await operation
    assert ear.heard == []
