"""A database with projects in it, one media server, and servers on both, in virtual time."""

from __future__ import annotations

from typing import Any

from utd_core.engine import Engine
from utd_core.media.backend import JoinTicket
from utd_core.model.command import Actor
from utd_core.model.commands import (
    JoinRoom,
)
from utd_core.model.stream_type import UTDStreamType
from utd_core.server import Hosted, Project
from utd_core.server.hosting.directory import StoredDirectory
from utd_core.server.hosting.host import Hosting
from utd_core.server.hosting.registry import Registry
from utd_core.server.hosting.vault import Vault, new_key
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock
from utd_mock import MockServer

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


class World:
    """A database with projects in it, one media server, and servers on both."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = VirtualClock()
        self.media = MockServer(self.clock)
        self.vault = Vault(new_key())

    @property
    def registry(self) -> Registry:
        """As `utd project` uses it, in another process."""
        return Registry(self.store.projects)

    def hosting(self, **options: Any) -> Hosting:
        given = {"media_settings": {"server": self.media}, "clock": self.clock, **options}
        return Hosting(StoredDirectory(self.store, self.vault), self.store, **given)

    async def create(self, app_id: str, **options: Any) -> Project:
        return await self.registry.create(self.vault, app_id=app_id, **options)

    async def talk(self, hosting: Hosting, app_id: str) -> JoinTicket:
        """Have Ann connected in the lobby of a project; her ticket."""
        engine = await engine_of(hosting, app_id)
        join = JoinRoom(room="lobby", type=AUDIO_ROOM, as_host=True)
        ticket = await engine.execute(join, actor=Actor("ann"))
        issued = JoinTicket(ticket.url, ticket.token, ticket.expires_at)
        await hosting.running[app_id].engine.backend.connect(issued)
        return issued

    def people(self) -> dict[str, set[str]]:
        """Who is connected to which media room."""
        return {name: set(room.participants) for name, room in self.media.rooms.items() if room.participants}


async def found(hosting: Hosting, app_id: str) -> Hosted:
    hosted = await hosting.find(app_id)
    assert hosted is not None
    return hosted


async def engine_of(hosting: Hosting, app_id: str) -> Engine:
    """The engine that is at work on this server for a project."""
    await found(hosting, app_id)
    return hosting.running[app_id].engine
