"""Everybody who uses the nodes while something fails, and what has to be true of them afterwards.

    async with crowd_on(fleet) as crowd:
        await fleet.holder().kill()
        await crowd.goes_on("after the holder was killed")

Writers, followers and callers go to the nodes directly, people with the real client by a load balancer. At the end of
the block all come to rest, and are judged (`verdict.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from utd_core.testing.wait import eventually

from .balancer import Balancer
from .fleet import Fleet, Node
from .load import RING, Caller, Follower, Insistent, Writer
from .people import ROOM, Host, Listener, Person, Speaker
from .verdict import Truth, judge_calls, judge_person, judge_writer

log = logging.getLogger("tests.cluster")

WRITERS, FOLLOWERS, CALLERS = 4, 3, 2
SPEAKERS, LISTENERS = 4, 3
PATIENCE = 60.0
"""Seconds in which everything is as it was, on a machine that is busy."""


class Crowd:
    def __init__(self, fleet: Fleet, balancer: Balancer) -> None:
        def urls() -> list[str]:
            return fleet.urls

        self.balancer = balancer
        self.writers = [Writer(number, urls) for number in range(WRITERS)]
        self.callers = [Caller(number, urls) for number in range(CALLERS)]
        self.followers = [Follower(writer, number, urls) for writer in self.writers for number in range(FOLLOWERS)]
        self.people: list[Person] = [
            Host("host", balancer.url, fleet.studio),
            *(Speaker(f"speaker-{seat}", balancer.url, fleet.studio, seat) for seat in range(SPEAKERS)),
            *(Listener(f"listener-{number}", balancer.url, fleet.studio) for number in range(LISTENERS)),
        ]
        self.going = asyncio.Event()
        self._fleet = fleet

    @property
    def gaps(self) -> int:
        """Times that somebody was told of a hole."""
        return sum(follower.gaps for follower in self.followers) + sum(person.gaps for person in self.people)

    async def see_ready(self, is_ready: bool, *nodes: Node) -> None:
        """Wait until the balancer has been told so by these nodes, or by all that run."""
        of = [node.url for node in nodes] or self._fleet.addresses
        wanted = dict.fromkeys(of, 200 if is_ready else 503)
        await eventually(
            lambda: wanted.items() <= self.balancer.said.items(),
            PATIENCE,
            what=f"that {len(of)} nodes are {'ready' if is_ready else 'not ready'}",
        )

    async def goes_on(self, when: str, commands: int = 10) -> None:
        """Everybody is served again: each of them some times more."""
        before = self._served()
        await eventually(
            lambda: all(now >= then + commands for then, now in zip(before, self._served(), strict=True)),
            PATIENCE,
            what=f"that commands are done {when}",
        )

    async def come(self) -> None:
        """Have everybody begin."""
        await asyncio.gather(*(writer.make_room() for writer in self.writers))
        await self.see_ready(True)
        host, *others = self.people
        await host.enter()
        await asyncio.gather(*(person.enter() for person in others))
        self.going.set()

    async def rest(self, commands: list[asyncio.Task[None]]) -> None:
        """Nobody begins anything more; return when all is over that was begun."""
        self.going.clear()
        await asyncio.wait(commands)
        for command in commands:
            command.result()
        async with Truth(self._fleet.postgres.url()) as truth:
            for id in [id for caller in self.callers for id in caller.acknowledged]:
                await eventually(partial(_is_over, truth, id), RING + PATIENCE, what=f"that call {id} is over")
            await eventually(lambda: self._all_know(truth), PATIENCE, what="that everybody has the state of the store")
            for writer in self.writers:
                await judge_writer(writer, truth)
            for caller in self.callers:
                await judge_calls(caller, truth)
            for person in self.people:
                person.hear()
                await judge_person(person, truth)
        log.info(
            "%d commands and %d calls were acknowledged, %d times somebody was told of a hole",
            sum(self._served()),
            sum(len(caller.acknowledged) for caller in self.callers),
            self.gaps,
        )

    def _served(self) -> list[int]:
        return [
            *(writer.acknowledged for writer in self.writers),
            *(len(person.done) for person in self.people if not isinstance(person, Listener)),
        ]

    async def _all_know(self, truth: Truth) -> bool:
        room = await truth.room(ROOM)
        return all(person.mirrored == room for person in self.people) and all(
            follower.revision == follower.writer.acknowledged for follower in self.followers
        )


async def _is_over(truth: Truth, id: str) -> bool:
    return (await truth.call(id)).ended_at is not None


@asynccontextmanager
async def crowd_on(fleet: Fleet) -> AsyncIterator[Crowd]:
    """Everybody is there, and busy; in the end they are judged."""
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer(lambda: fleet.addresses))
        crowd = Crowd(fleet, balancer)
        active: list[Insistent | Person] = [*crowd.writers, *crowd.callers, *crowd.people]
        for each in active:
            stack.push_async_callback(each.aclose)
        await crowd.come()
        async with asyncio.TaskGroup() as group:
            commands = [group.create_task(each.run(crowd.going)) for each in active]
            following = [group.create_task(follower.run()) for follower in crowd.followers]
            await crowd.goes_on("before anything happens")
            await eventually(lambda: all(f.heard for f in crowd.followers), PATIENCE, what="that everybody follows")
            yield crowd
            await crowd.rest(commands)
            for task in following:
                task.cancel()
