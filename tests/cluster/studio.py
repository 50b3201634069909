"""A media server that all nodes reach, as they would reach a LiveKit: it knows who is connected when a node is gone.

It is the mock's, in the process of the tests, where the people are. Nodes are told of it by a plugin of their own, the
backend `studio`, which asks it over a Unix socket: one question, or one stream of notifications, for each connection.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from utd_core.concurrency import Clock, SystemClock
from utd_core.errors import ConnectFailed, MediaError, Unsupported, UTDStreamException
from utd_core.hooks import hookimpl
from utd_core.media.backend import BackendSpec, ConnectOptions, JoinTicket, MediaBackend, MediaConnection, MediaControl
from utd_core.media.capabilities import Capabilities
from utd_core.media.events import Notification
from utd_core.media.forwarding import ForwardingControl
from utd_mock import MockBackend, MockServer
from utd_mock.capabilities import CAPABILITIES

NAME = "studio"
_LENGTH = struct.Struct("!I")


class Studio:
    """The server, for as long as `async with` lasts. `backend` is what people connect with."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "studio.sock"
        self._folder = folder
        self._server = MockServer(SystemClock())
        self.backend = _Door({"server": self._server})
        self._listening: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_unix_server(self._welcome, self.path)
        return self

    async def __aexit__(self, *exit: object) -> None:
        assert self._listening is not None
        self._listening.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self.backend.aclose()
        await self._server.aclose()

    def environment(self, root: Path) -> dict[str, str]:
        """What a node has to be told to find the plugin, which no distribution brings. `root`: of this repository."""
        plugin = self._folder / "plugins" / "utd_studio-0.dist-info"
        plugin.mkdir(parents=True, exist_ok=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: utd-studio\nVersion: 0\n")
        (plugin / "entry_points.txt").write_text(f"[utd]\n{NAME} = {__name__}\n")
        return {"PYTHONPATH": f"{plugin.parent}:{root}"}

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            return  # whoever asked is gone, or the studio is
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, arguments, options = await _hear(reader)
        if method == "notifications":
            stream = self.backend.control.notifications()
            await _say(writer, None)
            async for notification in stream:
                await _say(writer, notification)
            return
        try:
            said = await getattr(self.backend.control, method)(*arguments, **options)
        except UTDStreamException as error:
            said = error
        await _say(writer, said)


class _Door(MockBackend):
    """By which people come in: the mock's, under the name that stands in the nodes' tickets."""

    name: ClassVar[str] = NAME


class StudioBackend(MediaBackend):
    """A node's end. Its setting `path` is where the studio is."""

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = CAPABILITIES

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._control = _StudioControl(settings["path"])

    @property
    def control(self) -> MediaControl:
        return self._control

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> MediaConnection:
        raise Unsupported(f"{NAME} is where nodes ask; people come in by the studio's own backend")

    async def aclose(self) -> None:
        self._control.close()


class _StudioControl(ForwardingControl):
    def __init__(self, path: str) -> None:
        self._path = path
        self._listening: set[asyncio.StreamWriter] = set()

    def close(self) -> None:
        for writer in self._listening:
            writer.close()

    async def forward(self, method: str, *arguments: Any, **named: Any) -> Any:
        reader, writer = await self._begin(method, *arguments, **named)
        try:
            said = await _hear(reader)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise MediaError("the studio does not answer") from error
        finally:
            writer.close()
        if isinstance(said, UTDStreamException):
            raise said
        return said

    async def notifications(self) -> AsyncIterator[Notification]:
        reader, writer = await self._begin("notifications")
        self._listening.add(writer)
        try:
            await _hear(reader)
            while True:
                yield await _hear(reader)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self._listening.discard(writer)
            writer.close()

    async def _begin(
        self, method: str, *arguments: object, **options: object
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
            await _say(writer, (method, arguments, options))
        except OSError as error:
            raise ConnectFailed("the studio is not there") from error
        return reader, writer


async def _say(writer: asyncio.StreamWriter, what: object) -> None:
    said = pickle.dumps(what)
    writer.write(_LENGTH.pack(len(said)) + said)
    await writer.drain()


async def _hear(reader: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))


def _create(settings: Mapping[str, Any], clock: Clock) -> MediaBackend:
    return StudioBackend(settings)


@hookimpl
def utd_media_backends() -> list[BackendSpec]:
    return [BackendSpec(NAME, "the media server of the cluster's tests", CAPABILITIES, _create, faults=frozenset())]
