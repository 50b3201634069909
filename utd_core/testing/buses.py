"""What every message bus must show: derive from `MessageBusContract` in a test module, and say how a bus is made.

class TestAcmeMessages(MessageBusContract):
    @pytest.fixture
    async def nodes(self):
        async with AcmeMessages(URL) as one, AcmeMessages(URL) as other:
            yield one, other
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from ..bus import BusStatistics, MessageBus, Questions
from ..bus.audience import MOST_WAITING
from ..errors import Banned, Closed, NobodyListens

PATIENCE: Final = 20.0
"""Seconds, of the machine's clock, that something may take."""

Nodes = tuple[MessageBus, MessageBus]
"""The open buses of two nodes that reach each other; twice the same one where there is but one node."""


class Ear:
    """Keeps what it hears. `gate`: hears nothing while it is closed."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Event()

    async def hear(self, message: bytes) -> None:
        """For `MessageBus.subscribe`."""
        await self.gate.wait()
        self.heard.append(message)
        self._news.set()

    async def interrupted(self) -> None:
        """For `MessageBus.subscribe`; kept as `b"<gap>"`."""
        self.heard.append(b"<gap>")
        self._news.set()

    async def has(self, condition: Callable[[list[bytes]], bool]) -> list[bytes]:
        """What it has heard, once that fulfils the condition. Raises `TimeoutError`."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self.heard):
                self._news.clear()
                await self._news.wait()
        return self.heard

    async def has_heard(self, *messages: bytes) -> bool:
        """Whether it hears exactly these, in this order. Raises `TimeoutError` where it hears fewer."""
        return tuple(await self.has(lambda heard: len(heard) >= len(messages))) == messages


class MessageBusContract:
    """One test for each promise of `MessageBus`. Override the fixture `nodes`."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def nodes(self) -> Nodes:
        """Two nodes. To be overridden."""
        raise TypeError(f"{type(self).__name__} must have a fixture `nodes` with two open buses")

    async def test_everybody_on_the_topic_hears_on_every_node_and_nobody_else(self, nodes: Nodes) -> None:
        one, other = nodes
        here, there, second, elsewhere = Ear(), Ear(), Ear(), Ear()
        await one.subscribe("a", here.hear)
        await other.subscribe("a", there.hear)
        await other.subscribe("a", second.hear)
        await other.subscribe("b", elsewhere.hear)
        await one.publish("a", b"1")
        await one.publish("b", b"2")
        for ear in (here, there, second):
            assert await ear.has_heard(b"1")
        assert await elsewhere.has_heard(b"2")

    async def test_publishing_tells_how_many_nodes_were_reached(self, nodes: Nodes) -> None:
        one, other = nodes
        assert await one.publish("a", b"1") == 0
        ears = [Ear(), Ear(), Ear()]
        await other.subscribe("a", ears[0].hear)
        await other.subscribe("a", ears[1].hear)
        assert await one.publish("a", b"2") == 1
        listener = await one.subscribe("a", ears[2].hear)
        assert await one.publish("a", b"3") == len({one, other})
        one.unsubscribe(listener)
        async with asyncio.timeout(PATIENCE):
            # Leaving is told to others, which nobody waits for.
            while await one.publish("a", b"4") != 1:  # noqa: ASYNC110  # there is nothing else to ask
                await asyncio.sleep(0)

    async def test_any_topic_and_any_bytes_arrive_as_they_are(self, nodes: Nodes) -> None:
        one, other = nodes
        messages = [b"", b"\0", b"\r\n$5\r\n", bytes(range(256)), b"x" * 300_000]
        for topic in ("", "app/private-straße", "a b\nc", "*", "a:b"):
            ear = Ear()
            listener = await other.subscribe(topic, ear.hear)
            for message in messages:
                assert await one.publish(topic, message) >= 1
            heard = await ear.has(lambda heard: len(heard) == len(messages))
            assert [len(message) for message in heard] == [len(message) for message in messages]
            assert heard == messages or pytest.fail("bytes were changed")
            other.unsubscribe(listener)

    async def test_messages_of_one_node_are_heard_in_their_order_however_many_publish_at_once(
        self, nodes: Nodes
    ) -> None:
        one, other = nodes
        ear = Ear()
        await other.subscribe("a", ear.hear)

        async def publish(who: int) -> None:
            for number in range(50):
                await one.publish("a", b"%d %d" % (who, number))

        await asyncio.gather(*(publish(who) for who in range(20)))
        heard = await ear.has(lambda heard: len(heard) >= 1_000)
        assert len(heard) == 1_000
        for who in range(20):
            theirs = [message for message in heard if message.startswith(b"%d " % who)]
            assert theirs == [b"%d %d" % (who, number) for number in range(50)], f"publisher {who}"

    async def test_what_is_published_after_subscribing_is_heard_whatever_was_subscribed_before(
        self, nodes: Nodes
    ) -> None:
        one, other = nodes
        for number in range(50):
            ear = Ear()
            listener = await other.subscribe("a", ear.hear)
            await one.publish("a", b"%d" % number)
            await ear.has(lambda heard, number=number: b"%d" % number in heard)  # type: ignore[misc]  # bound now
            other.unsubscribe(listener)

    async def test_many_who_subscribe_and_leave_at_once_hear_no_less(self, nodes: Nodes) -> None:
        one, other = nodes
        stays = Ear()
        await other.subscribe("a", stays.hear)

        async def come_and_go() -> None:
            ear = Ear()
            listener = await other.subscribe("a", ear.hear)
            await one.publish("a", b"!")
            await ear.has(lambda heard: b"!" in heard)
            other.unsubscribe(listener)

        await asyncio.gather(*(come_and_go() for _ in range(20)))
        await stays.has(lambda heard: heard.count(b"!") >= 20)
        assert stays.heard.count(b"!") == 20

    async def test_whoever_has_unsubscribed_hears_nothing(self, nodes: Nodes) -> None:
        one, other = nodes
        gone, stays = Ear(), Ear()
        listener = await other.subscribe("a", gone.hear)
        await other.subscribe("a", stays.hear)
        other.unsubscribe(listener)
        other.unsubscribe(listener)
        await one.publish("a", b"1")
        assert await stays.has_heard(b"1")
        assert gone.heard == []

    async def test_one_may_unsubscribe_while_it_hears(self, nodes: Nodes) -> None:
        one, other = nodes
        told: list[bytes] = []
        rest = Ear()

        async def once(message: bytes) -> None:
            told.append(message)
            other.unsubscribe(listener)

        listener = await other.subscribe("a", once)
        await other.subscribe("a", rest.hear)
        await one.publish("a", b"1")
        await one.publish("a", b"2")
        assert await rest.has_heard(b"1", b"2")
        assert told == [b"1"]

    async def test_a_listener_that_fails_hears_the_next_message(
        self, nodes: Nodes, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, other = nodes
        ear = Ear()

        async def fail(message: bytes) -> None:
            await ear.hear(message)
            raise ValueError("of the test")

        await other.subscribe("a", fail)
        await one.publish("a", b"1")
        await one.publish("a", b"2")
        assert await ear.has_heard(b"1", b"2")

    async def test_a_slow_listener_keeps_nobody_waiting_and_is_told_what_it_missed(self, nodes: Nodes) -> None:
        one, other = nodes
        slow, fast = Ear(), Ear()
        slow.gate.clear()
        await other.subscribe("a", slow.hear, interrupted=slow.interrupted)
        await other.subscribe("a", fast.hear)
        total = MOST_WAITING + 500
        for number in range(total):
            await one.publish("a", b"%d" % number)
        await fast.has(lambda heard: len(heard) == total)
        assert fast.heard == [b"%d" % number for number in range(total)] or pytest.fail("the fast one missed some")
        assert slow.heard == []
        slow.gate.set()
        await slow.has(lambda heard: b"<gap>" in heard)
        await one.publish("a", b"after")
        heard = await slow.has(lambda heard: heard[-1] == b"after")
        gap = heard.index(b"<gap>")
        assert heard[:gap] == [b"%d" % number for number in range(gap)] or pytest.fail("what came before the gap")
        assert heard[gap + 1 :] == [b"after"]
        assert other.statistics().dropped == total - gap
        assert gap >= MOST_WAITING

    async def test_a_question_is_answered_by_the_other_node_and_errors_cross(self, nodes: Nodes) -> None:
        one, other = nodes

        async def handle(payload: bytes) -> bytes:
            if payload == b"refuse":
                raise Banned("not you", details={"until": 5})
            return payload.upper()

        async with Questions(one) as asker, Questions(other) as answerer:
            with pytest.raises(NobodyListens):
                await asker.ask("q", b"", PATIENCE)
            await answerer.answer("q", handle)
            assert await asker.ask("q", b"hello\nyou", PATIENCE) == b"HELLO\nYOU"
            with pytest.raises(Banned, match="not you"):
                await asker.ask("q", b"refuse", PATIENCE)

    async def test_statistics_count(self, nodes: Nodes) -> None:
        one, other = nodes
        ear = Ear()
        listener = await other.subscribe("a", ear.hear)
        await one.publish("a", b"1")
        await ear.has_heard(b"1")
        figures: BusStatistics = other.statistics()
        assert (figures.connected, figures.topics, figures.listeners, figures.heard) == (True, 1, 1, 1)
        assert one.statistics().published == 1
        other.unsubscribe(listener)
        assert (other.statistics().topics, other.statistics().listeners) == (0, 0)

    async def test_is_closed_once_and_for_all(self, nodes: Nodes) -> None:
        bus = nodes[0]
        ear = Ear()
        await bus.open()
        listener = await bus.subscribe("a", ear.hear)
        await bus.aclose()
        await bus.aclose()
        bus.unsubscribe(listener)
        for operation in (bus.open(), bus.publish("a", b"1"), bus.subscribe("a", ear.hear)):
            with pytest.raises(Closed):
                await operation
        assert ear.heard == []
        assert not bus.statistics().connected

    async def test_closing_while_it_is_used_ends_everything_that_waits(self, nodes: Nodes) -> None:
        one, other = nodes
        slow = Ear()
        slow.gate.clear()
        await other.subscribe("a", slow.hear)

        async def publish() -> None:
            while True:
                await one.publish("a", b"1")
                await asyncio.sleep(0)

        async def subscribe() -> None:
            while True:
                one.unsubscribe(await one.subscribe("b", slow.hear))
                await asyncio.sleep(0)

        using = [asyncio.ensure_future(work()) for work in (publish, subscribe, publish, subscribe)]
        await asyncio.sleep(0.01)
        await asyncio.gather(one.aclose(), other.aclose(), one.aclose())
        async with asyncio.timeout(PATIENCE):
            ended = await asyncio.gather(*using, return_exceptions=True)
        assert [type(error) for error in ended] == [Closed] * 4
