"""A call over two nodes with real media: the parties are on different ones, and the one that holds the project ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.client.world import STEADY
from utd_core.bus import LocalMessages
from utd_core.client import UTDCallSession, UTDCallStatus, UTDStreamClient
from utd_core.client.remote import ASGITransport, RemoteLink
from utd_core.concurrency import SystemClock
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.server.app import App
from utd_core.server.cluster import ClusterSettings
from utd_core.server.directory import OneProject
from utd_core.server.hosting import Hosting
from utd_core.server.projects import Project, ProjectFlags, ProjectLimits
from utd_core.server.pusher import PusherMount
from utd_core.store import open_store

from .world import becomes

PROJECT = Project(
    "shop",
    "key",
    ("the secret",),
    flags=ProjectFlags(allow_app_key_identity_mint=True),
    limits=ProjectLimits(identity_commands_per_second=None),
)
MEDIA = {"loopback": "always", "secret": "of all nodes"}


class Nodes:
    """Two nodes on one database and one bus, and clients that choose one of them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.clock = SystemClock()
        self.hosts: list[Hosting] = []
        self._apps: list[App] = []
        self._stack = stack

    async def start(self) -> None:
        store = await self._stack.enter_async_context(open_store(None))
        bus = await self._stack.enter_async_context(LocalMessages())
        for _ in range(2):
            host = Hosting(
                OneProject(PROJECT), store, "webrtc_p2p", media_settings=MEDIA, bus=bus, cluster=ClusterSettings()
            )
            self.hosts.append(await self._stack.enter_async_context(host))
            self._apps.append(await self._stack.enter_async_context(App(host, mounts=[PusherMount(host, bus=bus)])))

    async def client(self, identity: str, node: int) -> UTDStreamClient:
        transport = ASGITransport(self._apps[node])
        self._stack.push_async_callback(transport.aclose)
        link = RemoteLink(
            PROJECT.app_id,
            PROJECT.key,
            base_url=f"http://node{node}.test",
            media={"webrtc_p2p": {"loopback": "always"}},
            transport=transport,
            retry=STEADY,
        )
        client = UTDStreamClient(link=link, identity=identity, microphone=ToneAudioSource, retry=STEADY)
        return await self._stack.enter_async_context(client)

    async def end(self, node: int) -> None:
        """The node goes, as SIGTERM would have it; its clients come back to nobody."""
        await self._apps[node].aclose()
        await self.hosts[node].aclose()


async def hears(session: UTDCallSession, speaker: str) -> None:
    async with session.frames(speaker) as frames:
        async for frame in frames:
            if any(frame.data):
                return


async def call(stack: AsyncExitStack, ada: UTDStreamClient, bob: UTDStreamClient) -> list[UTDCallSession]:
    """Both sides of a call in which each hears the other."""
    calling = await stack.enter_async_context(ada.call_session("audio_call"))
    called = await stack.enter_async_context(bob.call_session("audio_call"))
    await calling.start("bob")
    (ringing,) = await bob.incoming_calls.wait_for(timeout=10.0)
    await called.accept(ringing.call_id)
    await calling.status.wait_for(lambda status: status is UTDCallStatus.ACTIVE, timeout=10.0)
    await hears(calling, "bob")
    await hears(called, "ada")
    return [calling, called]


async def test_parties_on_two_nodes_hear_each_other() -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack)
        await nodes.start()
        ada, bob = await nodes.client("ada", 0), await nodes.client("bob", 1)
        await call(stack, ada, bob)
        assert [bool(host.running) for host in nodes.hosts] == [True, False]


async def test_a_call_goes_on_when_the_node_that_holds_the_project_ends() -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(stack)
        await nodes.start()
        # Whoever is asked first holds the project, and no party need be there.
        async with await nodes.client("somebody", 0):
            ada, bob = await nodes.client("ada", 1), await nodes.client("bob", 1)
        sides = await call(stack, ada, bob)
        assert [bool(host.running) for host in nodes.hosts] == [True, False]
        tickets = {side.room.native for side in sides}
        await nodes.end(0)
        await becomes(lambda: bool(nodes.hosts[1].running), "another holder")
        # Its control half lets both in anew.
        await becomes(lambda: tickets.isdisjoint({side.room.native for side in sides} - {None}), "new connections")
        await becomes(lambda: all(side.connected.value for side in sides), "both sides back")
        for side, other in zip(sides, ("bob", "ada"), strict=True):
            await asyncio.wait_for(hears(side, other), 15.0)
            assert side.status.value is UTDCallStatus.ACTIVE
