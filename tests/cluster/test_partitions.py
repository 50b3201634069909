"""What happens to clients when a node is cut off: a delay, and no more.

The networks are real. PostgreSQL, Redis and each node are hosts of their own (`network.py`), the clients and their load
balancer are another one, and cables are pulled: packets are lost, and nobody is told. Everything is in a network
namespace of these tests, so nothing of it can be reached from outside. That takes root, or a machine that lets anybody
make user namespaces; one that allows neither fails these tests, with what to change, rather than having them look as if
they had been run. Only a system that has no such thing skips them: they need Linux.

What the four things are that must hold is said in `verdict.py`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.redis import RedisServer
from utd_core.testing.wait import eventually

from .crowd import crowd_on
from .fleet import Fleet, Site
from .network import Cable, Host
from .studio import Studio

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.own_network,
    pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's"),
]

NODES = 3
TAKEOVER = 20.0
"""Seconds in which a holder that nobody can ask is followed by another one, on a busy machine; alone it is about
a third of that: 3 until a silent holder is noticed, 1.5 until it looks what is wanted of it, and the end of its engine.
"""

log = logging.getLogger("tests.cluster")


class Cables:
    """From each node to the clients, to PostgreSQL and to Redis."""

    def __init__(self) -> None:
        self._here = Host.here()
        self.nodes = [Host.new() for _ in range(NODES)]
        self.postgres, self.redis = Host.new(), Host.new()
        self.to_clients = [Cable(node, self._here) for node in self.nodes]
        self.to_postgres = [Cable(node, self.postgres) for node in self.nodes]
        self.to_redis = [Cable(node, self.redis) for node in self.nodes]

    def of(self, number: int) -> tuple[Cable, Cable, Cable]:
        """A node's three."""
        return self.to_clients[number], self.to_postgres[number], self.to_redis[number]

    def site(self, number: int) -> Site:
        clients, postgres, redis = self.of(number)
        return Site(
            store=f"postgresql://postgres@{postgres.addresses[1]}/postgres",
            bus=f"redis://{redis.addresses[1]}:6379",
            host=clients.addresses[0],
            inside=self.nodes[number].inside,
        )

    def close(self) -> None:
        for host in (self._here, *self.nodes, self.postgres, self.redis):
            host.close()


def ends(cables: list[Cable]) -> list[str]:
    return [cable.addresses[1] for cable in cables]


@pytest.fixture
def cables() -> Iterator[Cables]:
    cables = Cables()
    yield cables
    cables.close()


@pytest.fixture
async def fleet(cables: Cables, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Three nodes, each on a host of its own."""
    with ExitStack() as stack:
        postgres = PostgresServer(networks=("10.0.0.0/8",), listen_addresses=",".join(ends(cables.to_postgres)))
        stack.callback(postgres.close)
        redis = RedisServer(port="6379", bind=" ".join(ends(cables.to_redis)), **{"protected-mode": "no"})
        stack.callback(redis.close)
        with cables.postgres.inside():
            postgres.start()
        with cables.redis.inside():
            redis.start()
        async with Studio(tmp_path) as studio:
            with Fleet(tmp_path, postgres, redis, studio, cables.site) as fleet:
                await fleet.start(NODES)
                yield fleet


async def test_the_holder_is_cut_off_from_everything(fleet: Fleet, cables: Cables) -> None:
    async with crowd_on(fleet) as crowd:
        holder = fleet.holder()
        holder.serves = False
        for cable in cables.of(fleet.nodes.index(holder)):
            cable.pull()
        await crowd.goes_on("by another holder")
        assert fleet.holder() is not holder
        for cable in cables.of(fleet.nodes.index(holder)):
            cable.plug()
        holder.serves = True
        await crowd.see_ready(True)
        await crowd.goes_on("after it came back")


async def test_the_holder_is_cut_off_from_postgresql_and_redis_and_its_clients_still_reach_it(
    fleet: Fleet, cables: Cables
) -> None:
    async with crowd_on(fleet) as crowd:
        holder = fleet.holder()
        holder.serves = False
        _, *behind = cables.of(fleet.nodes.index(holder))
        for cable in behind:
            cable.pull()
        await crowd.see_ready(False, holder)
        await crowd.goes_on("by another holder")
        assert fleet.holder() is not holder
        for cable in behind:
            cable.plug()
        await crowd.see_ready(True)
        holder.serves = True
        await crowd.goes_on("after it came back")


async def test_the_holder_is_cut_off_from_redis_only_and_makes_way_for_a_node_that_is_not(
    fleet: Fleet, cables: Cables
) -> None:
    async with crowd_on(fleet) as crowd:
        holder = fleet.holder()
        cable = cables.to_redis[fleet.nodes.index(holder)]
        cable.pull()
        holder.serves = False
        began = time.monotonic()
        await eventually(lambda: fleet.holder() is not holder, TAKEOVER, what="that another node has taken over")
        log.info("another node took over after %.1f s", time.monotonic() - began)
        await crowd.goes_on("by another holder")
        another = fleet.holder()
        cable.plug()
        await crowd.see_ready(True)
        holder.serves = True
        await crowd.goes_on("after it came back")
        assert fleet.holder() is another, "it stays where it is"


async def test_another_node_is_cut_off_from_redis_only_and_ends(fleet: Fleet, cables: Cables) -> None:
    async with crowd_on(fleet) as crowd:
        holder, node = fleet.holder(), fleet.another()
        cable = cables.to_redis[fleet.nodes.index(node)]
        cable.pull()
        node.serves = False
        await crowd.see_ready(False, node)
        await crowd.goes_on("by the others")
        assert await node.end() == 0, "it ends without Redis, too"
        assert fleet.holder() is holder
