"""What happens to clients when a node dies, Redis or PostgreSQL restarts, or a node is cut off: a delay, and no more.

No acknowledged command is lost, none is done twice, no follower misses an event without being told so, and in the end
everybody has the state of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.redis import RedisServer
from utd_core.testing.wait import eventually

from .fleet import Fleet, fleet
from .load import Follower, Writer

WRITERS, FOLLOWERS = 6, 3
PATIENCE = 40.0
"""Seconds in which everything is as it was, on a machine that is busy."""


@pytest.fixture
def nodes(tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer) -> Iterator[Fleet]:
    with fleet(tmp_path, postgres_server, redis_server) as nodes:
        yield nodes.start()


class Load:
    """Writers, each with followers on different nodes."""

    def __init__(self, nodes: Fleet) -> None:
        self.writers = [Writer(number, lambda: nodes.urls) for number in range(WRITERS)]
        self.followers = [
            Follower(writer, number, lambda: nodes.urls) for writer in self.writers for number in range(FOLLOWERS)
        ]
        self.going = asyncio.Event()
        self.going.set()

    @property
    def acknowledged(self) -> list[int]:
        return [writer.acknowledged for writer in self.writers]

    async def progress(self, what: str, commands: int = 20) -> None:
        """Every writer was answered some more times."""
        wanted = [done + commands for done in self.acknowledged]
        await eventually(
            lambda: all(done >= least for done, least in zip(self.acknowledged, wanted, strict=True)),
            PATIENCE,
            what=f"that commands are done {what}",
        )

    async def check(self) -> None:
        """End, and compare what everybody knows with what the store has."""
        self.going.clear()
        for writer in self.writers:
            snapshot = await writer.read()
            assert snapshot["room"]["metadata_revision"] == writer.acknowledged
            assert snapshot["room"]["metadata"] == {"n": writer.acknowledged}
        await eventually(
            lambda: all(follower.revision == follower.writer.acknowledged for follower in self.followers),
            PATIENCE,
            what="that every follower has the state of the store",
        )


@asynccontextmanager
async def load_on(nodes: Fleet) -> AsyncIterator[Load]:
    load = Load(nodes)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for writer in load.writers:
            stack.push_async_callback(writer.aclose)
        await asyncio.gather(*(writer.make_room() for writer in load.writers))
        writing = [group.create_task(writer.run(load.going)) for writer in load.writers]
        following = [group.create_task(follower.run()) for follower in load.followers]
        await load.progress("before anything happens")
        await eventually(lambda: all(f.heard for f in load.followers), PATIENCE, what="that everybody follows")
        yield load
        load.going.clear()
        await asyncio.wait(writing)
        await load.check()
        for task in following:
            task.cancel()


async def in_thread(work: Callable[[], object]) -> None:
    await asyncio.to_thread(work)


Trouble = Callable[[Fleet, Load], Awaitable[None]]


async def kill_the_holder(nodes: Fleet, load: Load) -> None:
    await in_thread(nodes.holder().kill)
    await load.progress("after the holder was killed")


async def kill_another(nodes: Fleet, load: Load) -> None:
    other = next(node for node in nodes.nodes if node is not nodes.holder())
    await in_thread(other.kill)
    await load.progress("after a node was killed")


async def restart_redis(nodes: Fleet, load: Load) -> None:
    await in_thread(nodes.redis.stop)
    holder = nodes.holder()
    async with asyncio.timeout(PATIENCE):
        while "bus" not in holder.output and "Redis" not in holder.output:
            await asyncio.sleep(0.05)
    await in_thread(nodes.redis.start)
    await load.progress("after Redis was restarted")


async def restart_postgres(nodes: Fleet, load: Load) -> None:
    await in_thread(nodes.postgres.restart)
    await load.progress("after PostgreSQL was restarted")


async def cut_the_holder_off(nodes: Fleet, load: Load) -> None:
    """It keeps its connections, its sockets too, and wakes up when another one has taken over."""
    holder = nodes.holder()
    holder.freeze()
    await load.progress("by another holder")
    assert nodes.holder() is not holder
    holder.thaw()
    await load.progress("after the old holder woke up")


async def restart_all_one_after_the_other(nodes: Fleet, load: Load) -> None:
    for old in list(nodes.nodes):
        await in_thread(lambda: nodes.start(1))
        assert await asyncio.to_thread(old.end) == 0, old.output
        await load.progress("after a node was replaced", 5)
    assert not [code for follower in load.followers for code in follower.refused]
    assert {code for follower in load.followers for code in follower.closed} == {4200}, "all were told to come back"


@pytest.mark.parametrize(
    "trouble",
    [
        kill_the_holder,
        kill_another,
        restart_redis,
        restart_postgres,
        cut_the_holder_off,
        restart_all_one_after_the_other,
    ],
)
async def test_clients_see_a_delay_and_no_more(nodes: Fleet, trouble: Trouble) -> None:
    async with load_on(nodes) as load:
        await trouble(nodes, load)
