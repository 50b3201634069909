"""What happens to clients when a node dies, or Redis or PostgreSQL is started anew: a delay, and no more.

No acknowledged command is lost, none is done twice, nobody misses an event without being told so, and in the end
everybody has the state of the store (`verdict.py`). Nodes are processes; so are PostgreSQL and Redis.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.redis import RedisServer

from .crowd import crowd_on
from .fleet import Fleet
from .studio import Studio

pytestmark = pytest.mark.heavy


@pytest.fixture
async def fleet(tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer) -> AsyncIterator[Fleet]:
    """Three nodes."""
    async with Studio(tmp_path) as studio:
        with Fleet(tmp_path, postgres_server, redis_server, studio) as fleet:
            await fleet.start(3)
            yield fleet


async def test_nodes_are_killed_until_one_is_left(fleet: Fleet) -> None:
    async with crowd_on(fleet) as crowd:
        await fleet.another().kill()
        await crowd.goes_on("after a node was killed")
        await fleet.holder().kill()
        await crowd.goes_on("after the holder was killed")


async def test_the_holder_oversleeps_and_wakes_up_when_another_one_has_taken_over(fleet: Fleet) -> None:
    async with crowd_on(fleet) as crowd:
        holder = fleet.holder()
        holder.freeze()
        await crowd.goes_on("by another holder")
        assert fleet.holder() is not holder
        holder.thaw()
        await crowd.goes_on("after the old holder woke up")


async def test_redis_is_killed_and_started_again(fleet: Fleet) -> None:
    async with crowd_on(fleet) as crowd:
        await asyncio.to_thread(fleet.redis.stop)
        await crowd.see_ready(False)
        await asyncio.to_thread(fleet.redis.start)
        await crowd.see_ready(True)
        await crowd.goes_on("after Redis was restarted")


async def test_postgresql_is_restarted_and_then_crashes(fleet: Fleet) -> None:
    async with crowd_on(fleet) as crowd:
        for how in (signal.SIGINT, signal.SIGQUIT):
            await asyncio.to_thread(fleet.postgres.stop, how)
            await crowd.see_ready(False)
            await asyncio.to_thread(fleet.postgres.start)
            await crowd.see_ready(True)
            await crowd.goes_on(f"after PostgreSQL ended by {how.name}")


async def test_nodes_are_replaced_one_after_the_other(fleet: Fleet) -> None:
    async with crowd_on(fleet) as crowd:
        for old in list(fleet.nodes):
            await fleet.start(1)
            assert await old.end() == 0, old.output
            await crowd.goes_on("after a node was replaced", 5)
        assert not [code for follower in crowd.followers for code in follower.refused]
        codes = {code for follower in crowd.followers for code in follower.closed}
        assert codes == {4200}, "all were told to come back"
