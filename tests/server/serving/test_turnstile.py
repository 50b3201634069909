"""Sockets come and go a few at a time, and connections are taken in many at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
import uvloop

from utd_core.server.accepting import AT_ONCE, Acceptor
from utd_core.server.listening import BACKLOG
from utd_core.server.turnstile import BUDGET, LONG, Turnstile
from utd_core.testing.wait import eventually


class Work:
    """Steps that take time, and the time that they took."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[int] = []

    def step(self, number: int, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.now += seconds
            self.done.append(number)

        return work


async def test_a_turn_of_the_loop_lets_as_many_through_as_its_time_allows_and_in_their_order() -> None:
    work = Work()
    turnstile = Turnstile(lambda: work.now)
    for number in range(10):
        turnstile.pass_through(work.step(number, BUDGET * 0.6))
    assert not work.done
    turns = 0
    while len(turnstile):
        before = len(work.done)
        await asyncio.sleep(0)
        turns += 1
        assert len(work.done) - before <= 2
    assert turns == 5
    assert work.done == list(range(10))


async def test_after_a_long_turn_only_one_is_let_through() -> None:
    work = Work()
    turnstile = Turnstile(lambda: work.now)
    for number in range(3):
        turnstile.pass_through(work.step(number, 0.0))
    work.now += 2 * LONG
    await asyncio.sleep(0)
    assert work.done == [0]
    await asyncio.sleep(0)
    assert work.done == [0, 1, 2]


async def test_one_that_fails_and_one_that_comes_meanwhile_keep_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work()
    turnstile = Turnstile(lambda: work.now)

    def fail() -> None:
        turnstile.pass_through(work.step(2, 0.0))
        raise ValueError("no")

    turnstile.pass_through(fail)
    turnstile.pass_through(work.step(1, 0.0))
    await asyncio.sleep(0)
    assert work.done == [1, 2]
    assert "could not be let through" in caplog.text
    # It begins anew after it was empty.
    turnstile.pass_through(work.step(3, 0.0))
    await asyncio.sleep(0)
    assert work.done == [1, 2, 3]


class Greeter(asyncio.Protocol):
    """Says hello."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        greeting = cast("asyncio.Transport", transport)
        greeting.write(b"hello")
        greeting.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_more_connections_than_one_turn_takes_in_are_all_answered(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    many = 3 * AT_ONCE

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        address = listener.getsockname()
        clients = [socket.create_connection(address) for _ in range(many)]
        async with Acceptor(listener, Greeter, BACKLOG) as acceptor:
            await acceptor.open()
            async for heard in _hear(clients):
                assert heard == b"hello"
        await acceptor.aclose()
        await eventually(lambda: is_refused(address))

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


def is_refused(address: tuple[str, int]) -> bool:
    """Whether nobody listens any more: uvloop closes a socket in a later turn."""
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


async def _hear(clients: list[socket.socket]) -> AsyncIterator[bytes]:
    """What each of them hears; all are closed."""
    for client in clients:
        reader, writer = await asyncio.open_connection(sock=client)
        yield await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()
