"""Questions from node to node: who answers, how many at once, and what becomes of those that nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from utd_core.bus import LocalMessages, Questions
from utd_core.bus.questions import PRECISION
from utd_core.errors import (
    Closed,
    DeadlineExceeded,
    ErrorCode,
    InvalidInput,
    NobodyListens,
    Unavailable,
    UTDStreamException,
)
from utd_core.testing import VirtualClock
from utd_core.testing.buses import PATIENCE

Pair = tuple[Questions, Questions]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def pair(clock: VirtualClock) -> AsyncIterator[Pair]:
    """One node that asks and one that answers, in virtual time."""
    async with (
        LocalMessages() as bus,
        LocalMessages(beside=bus) as other,
        Questions(bus, clock=clock) as asker,
        Questions(other, clock=clock) as answerer,
    ):
        yield asker, answerer


class Thinker:
    """Answers when it is let; knows how many it works on."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[bytes] = []
        self.now = self.most = 0

    async def think(self, payload: bytes) -> bytes:
        self.begun.append(payload)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
        finally:
            self.now -= 1
        return b"thought of " + payload


async def begun(thinker: Thinker, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(thinker.begun) < count:
            await asyncio.sleep(0)


async def test_each_of_many_askers_at_once_gets_its_own_answer(pair: Pair) -> None:
    asker, answerer = pair

    async def double(payload: bytes) -> bytes:
        for _ in range(int(payload) % 7):
            await asyncio.sleep(0)
        return payload * 2

    await answerer.answer("double", double)
    numbers = [b"%d" % number for number in range(300)]
    answers = await asyncio.gather(*(asker.ask("double", number, 5) for number in numbers))
    assert answers == [number * 2 for number in numbers] or pytest.fail("somebody got another one's answer")


@pytest.mark.parametrize(
    "said", [b"", b"x", b"\n\n\n", b"\xff\n1\n5\n", b"a\n1\nsoon\n", b"1\n-\n[]", b"1\n-\n{}", b"1\n-\nx", b"x\n+\n{}"]
)
async def test_what_is_neither_a_question_nor_an_answer_is_left_out_in_a_line(
    pair: Pair, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    asker, answerer = pair

    async def echo(payload: bytes) -> bytes:
        return payload

    await answerer.answer("echo", echo)
    for topic in ("echo", asker._topic):
        await asker.bus.publish(topic, said)
    assert await asker.ask("echo", b"hello", 5) == b"hello"
    assert caplog.records
    assert not any(record.exc_info for record in caplog.records)


async def test_nobody_there_is_known_at_once_and_nothing_was_done(pair: Pair) -> None:
    with pytest.raises(NobodyListens) as caught:
        await pair[0].ask("q", b"", 1_000_000)
    assert isinstance(caught.value, Unavailable)
    assert (caught.value.code, caught.value.status_code) == (ErrorCode.NOBODY_LISTENS, 503)


async def test_an_answer_that_does_not_come_in_time_is_an_error_and_a_late_one_is_ignored(
    pair: Pair, clock: VirtualClock
) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think)
    asking = asyncio.ensure_future(asker.ask("q", b"1", 10))
    await begun(thinker, 1)
    await clock.advance(9.9)
    assert not asking.done()
    await clock.advance(0.1 + PRECISION)
    with pytest.raises(DeadlineExceeded, match="within 10 s; whether it was done is not known"):
        await asking
    thinker.gate.set()
    await clock.settle()
    assert await asker.ask("q", b"2", 10) == b"thought of 2"


async def test_a_short_wait_beside_a_long_one_ends_in_its_own_time(pair: Pair, clock: VirtualClock) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think)
    long = asyncio.ensure_future(asker.ask("q", b"long", 100))
    await begun(thinker, 1)
    await clock.advance(1)
    short = asyncio.ensure_future(asker.ask("q", b"short", 2))
    await begun(thinker, 2)
    await clock.advance(2 + PRECISION)
    assert short.done()
    assert not long.done()
    with pytest.raises(DeadlineExceeded):
        await short
    thinker.gate.set()
    assert await long == b"thought of long"


async def test_a_cancelled_asker_disturbs_neither_the_handler_nor_the_others(pair: Pair) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think)
    asking = [asyncio.ensure_future(asker.ask("q", b"%d" % number, 10)) for number in range(3)]
    await begun(thinker, 3)
    asking[1].cancel()
    thinker.gate.set()
    assert await asking[0] == b"thought of 0"
    assert await asking[2] == b"thought of 2"
    assert thinker.begun == [b"0", b"1", b"2"]
    assert not asker._asked


async def test_so_many_are_worked_on_at_once_so_many_wait_and_the_next_is_refused_at_once(pair: Pair) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think, at_once=3, waiting=5)
    asking = [asyncio.ensure_future(asker.ask("q", b"%d" % number, 1_000)) for number in range(8)]
    await begun(thinker, 3)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable, match="has 5 questions waiting already; try again in a moment"):
            await asker.ask("q", b"too many", 1_000)
    thinker.gate.set()
    assert await asyncio.gather(*asking) == [b"thought of %d" % number for number in range(8)]
    assert thinker.begun == [b"%d" % number for number in range(8)], "in the order in which they came"
    assert thinker.most == 3


async def test_a_question_that_nobody_waits_for_any_more_is_left_out(pair: Pair, clock: VirtualClock) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think, at_once=1)
    first = asyncio.ensure_future(asker.ask("q", b"first", 100))
    await begun(thinker, 1)
    second = asyncio.ensure_future(asker.ask("q", b"second", 5))
    await clock.advance(6)
    with pytest.raises(DeadlineExceeded):
        await second
    thinker.gate.set()
    assert await first == b"thought of first"
    assert await asker.ask("q", b"third", 5) == b"thought of third"
    assert thinker.begun == [b"first", b"third"]


async def test_errors_cross_as_what_they_are_and_mistakes_as_no_more_than_that(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    asker, answerer = pair
    errors: dict[bytes, Exception] = {
        b"known": UTDStreamException("no", 409, ErrorCode.SEAT_TAKEN, details={"seat": 3}),
        b"other version": UTDStreamException("from tomorrow", 418, "teapot"),
        b"mistake": ZeroDivisionError("a secret"),
    }

    async def fail(payload: bytes) -> bytes:
        raise errors[payload]

    await answerer.answer("q", fail)

    async def refusal(payload: bytes) -> UTDStreamException:
        with pytest.raises(UTDStreamException) as caught:
            await asker.ask("q", payload, 5)
        return caught.value

    known = await refusal(b"known")
    assert type(known).__name__ == "Conflict"
    assert (known.message, known.code, known.status_code, known.details) == ("no", "seat_taken", 409, {"seat": 3})
    other = await refusal(b"other version")
    assert (other.message, other.code, other.status_code) == ("from tomorrow", "teapot", 418)
    mistake = await refusal(b"mistake")
    assert mistake.code == ErrorCode.INTERNAL
    assert "secret" not in mistake.message
    assert "ZeroDivisionError" in caplog.text


async def test_everybody_is_asked_and_whoever_fails_or_is_late_is_left_out(pair: Pair, clock: VirtualClock) -> None:
    asker, answerer = pair
    thinker = Thinker()

    async def here(_: bytes) -> bytes:
        return b"here"

    async def fail(_: bytes) -> bytes:
        raise Unavailable("not now")

    assert await asker.ask_all("all", b"", 5) == []
    await asker.answer("all", here)
    assert await asker.ask_all("all", b"", 5) == [b"here"]
    await answerer.answer("all", here)
    assert await asker.ask_all("all", b"", 5) == [b"here", b"here"]
    assert isinstance(answerer.bus, LocalMessages)
    async with LocalMessages(beside=answerer.bus) as bus, Questions(bus, clock=clock) as third:
        answering = await third.answer("all", fail)
        assert await asker.ask_all("all", b"", 5) == [b"here", b"here"]
        await answering.aclose()
        await third.answer("all", thinker.think)
        asking = asyncio.ensure_future(asker.ask_all("all", b"", 5))
        await begun(thinker, 1)
        await clock.advance(5 + PRECISION)
        assert await asking == [b"here", b"here"]


async def test_whoever_stops_answering_finishes_what_was_begun_and_refuses_what_waits(pair: Pair) -> None:
    asker, answerer = pair
    thinker = Thinker()
    answering = await answerer.answer("q", thinker.think, at_once=1)
    working = asyncio.ensure_future(asker.ask("q", b"1", 100))
    await begun(thinker, 1)
    waiting = asyncio.ensure_future(asker.ask("q", b"2", 100))
    for _ in range(20):
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(answering.aclose())
    with pytest.raises(Unavailable, match="does not answer any more"):
        await waiting
    with pytest.raises(NobodyListens):
        await asker.ask("q", b"3", 100)
    assert not closing.done()
    thinker.gate.set()
    assert await working == b"thought of 1"
    await closing
    await answering.aclose()
    await answerer.answer("q", thinker.think)
    assert await asker.ask("q", b"4", 100) == b"thought of 4"


async def test_a_node_that_ends_tells_those_whom_it_answers_at_the_moment(pair: Pair) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think)
    asking = asyncio.ensure_future(asker.ask("q", b"", 1_000))
    await begun(thinker, 1)
    await answerer.aclose()
    with pytest.raises(Unavailable, match="ends while it works on this; it may have been done"):
        await asking


async def test_a_node_that_ends_while_it_asks_gets_closed(pair: Pair) -> None:
    asker, answerer = pair
    thinker = Thinker()
    await answerer.answer("q", thinker.think)
    asking = asyncio.ensure_future(asker.ask("q", b"", 1_000))
    await begun(thinker, 1)
    await asker.aclose()
    await asker.aclose()
    with pytest.raises(Closed):
        await asking
    for operation in (asker.ask("q", b"", 1), asker.ask_all("q", b"", 1), asker.answer("x", thinker.think)):
        with pytest.raises(Closed):
            await operation
    with pytest.raises(Closed):
        await asker.open()


async def test_a_topic_has_one_handler_on_a_node(pair: Pair) -> None:
    _, answerer = pair
    thinker = Thinker()
    answering = await answerer.answer("q", thinker.think)
    with pytest.raises(InvalidInput, match="'q' is answered on this node already"):
        await answerer.answer("q", thinker.think)
    answering.stop()
    await answerer.answer("q", thinker.think)
