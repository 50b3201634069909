"""The servers that `benchmarks.fanout` compares, each in a process of its own.

    python -m benchmarks._fanout_servers NAME

prints its port, then answers one JSON line for each command that comes in: `burst N`, `paced N MILLISECONDS` (both with
the CPU seconds that it took), `once` (when the event went out, seconds of the monotonic clock) and `memory` (KB).
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import uvloop

from utd_core.model.seats import SeatTaken
from utd_core.server.pusher.frames import engine_event
from utd_core.store.base import Envelope

ROOM = "lounge"
CHANNEL = f"private-room.{ROOM}"
EPOCH = "0123456789ab"


def envelope(offset: int) -> Envelope:
    """An event of the size that events have: 200 bytes as JSON, a few more or less."""
    return Envelope(CHANNEL, EPOCH, offset, "room", ROOM, 1_700_000_000.5, SeatTaken(3, "ann", "ann"))


TEXT = engine_event(envelope(1_000)).text

Publish = Callable[[], Awaitable[None]]


async def serve(name: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=4_096)
    port = listening.getsockname()[1]
    publish = await SERVERS[name](listening)
    print(json.dumps({"port": port}), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        print(json.dumps(await obey(line, publish)), flush=True)


def resident_kib() -> float:
    """Memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4.0


async def obey(line: list[str], publish: Publish) -> dict[str, float]:
    match line:
        case ["memory"]:
            gc.collect()
            return {"memory": resident_kib()}
        case ["once"]:
            began = monotonic()
            await publish()
            return {"at": began}
        case ["burst", count]:
            began = process_time()
            for _ in range(int(count)):
                await publish()
                await asyncio.sleep(0)
            # What still lies in buffers belongs to it.
            await asyncio.sleep(0.2)
            return {"cpu": process_time() - began}
        case ["paced", count, milliseconds]:
            began = process_time()
            for _ in range(int(count)):
                await publish()
                await asyncio.sleep(float(milliseconds) / 1000)
            return {"cpu": process_time() - began}
    raise ValueError(f"no such command: {line}")


async def ours(listening: socket.socket, **options: Any) -> Publish:
    """The whole way of an engine's event: broker, one subscription, one frame, every socket."""
    from utd_core.engine import Engine
    from utd_core.engine.settings import EngineSettings
    from utd_core.model.command import Actor
    from utd_core.model.commands import JoinRoom
    from utd_core.model.stream_type import UTDStreamType
    from utd_core.server.app import App
    from utd_core.server.projects import Project, SingleHost
    from utd_core.server.pusher import UVICORN_OPTIONS, PusherMount, PusherSettings

    # Nobody comes to speak, and nobody is given up for that.
    engine = await Engine("mock", settings=EngineSettings(ticket_ttl=3_600)).__aenter__()
    host = SingleHost(engine, Project("app", "key", ("secret",)))
    # Listeners here say nothing, and are not asked to.
    mount = PusherMount(host, settings=PusherSettings(connections_per_address=None, activity_timeout=3_600))
    await engine.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True), actor=Actor("ann"))
    broker = engine._broker
    assert broker is not None
    head = (await engine.subscribe(CHANNEL)).head
    offset = head.offset

    async def publish() -> None:
        nonlocal offset
        offset += 1
        made = envelope(offset)
        broker.publish([Envelope(CHANNEL, head.epoch, offset, made.kind, made.key, made.at, made.event)])
        # The channel's task hands it out; what a loop over the sockets does at once takes two turns here.
        await asyncio.sleep(0)

    await run_uvicorn(App(host, mounts=[mount]), listening, **{**UVICORN_OPTIONS, **options})
    return publish


async def ours_through_asgi(listening: socket.socket) -> Publish:
    """The same on uvicorn's own protocol class: mounted in an application that knows nothing of ours."""
    return await ours(listening, ws="websockets-sansio")


def bare(ws: str) -> Callable[[socket.socket], Awaitable[Publish]]:
    """A loop over ASGI and nothing else, on one of the WebSocket implementations that uvicorn has."""

    async def start(listening: socket.socket) -> Publish:
        sends: dict[Any, None] = {}

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            sends[send] = None
            while (await receive())["type"] != "websocket.disconnect":
                pass
            del sends[send]

        async def publish() -> None:
            message = {"type": "websocket.send", "text": TEXT}
            for send in list(sends):
                await send(message)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of them is deprecated, and that is worth a figure
            await run_uvicorn(
                application, listening, ws=ws, ws_ping_interval=None, ws_per_message_deflate=False, ws_max_size=65_536
            )
        return publish

    return start


async def run_uvicorn(application: Any, listening: socket.socket, **options: Any) -> None:
    import uvicorn

    config = uvicorn.Config(application, lifespan="off", log_level="error", loop="uvloop", **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listening])


async def python_socketio(listening: socket.socket) -> Publish:
    import socketio

    server = socketio.AsyncServer(async_mode="asgi", ping_interval=3_600)
    data = json.loads(TEXT)

    async def publish() -> None:
        await server.emit(data["event"], data)

    await run_uvicorn(
        socketio.ASGIApp(server),
        listening,
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    return publish


async def aiohttp_loop(listening: socket.socket) -> Publish:
    from aiohttp import web

    sockets: dict[web.WebSocketResponse, None] = {}

    async def handle(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        sockets[response] = None
        async for _ in response:
            pass
        del sockets[response]
        return response

    async def publish() -> None:
        for response in list(sockets):
            await response.send_str(TEXT)

    application = web.Application()
    application.router.add_get("/{tail:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    return publish


async def picows_loop(listening: socket.socket) -> Publish:
    import picows

    transports: dict[picows.WSTransport, None] = {}

    class Listener(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            transports[transport] = None

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            del transports[transport]

    payload = TEXT.encode()

    async def publish() -> None:
        for transport in list(transports):
            transport.send(picows.WSMsgType.TEXT, payload)

    server = await picows.ws_create_server(lambda _: Listener(), sock=listening)
    await server.start_serving()
    return publish


SERVERS: dict[str, Callable[[socket.socket], Awaitable[Publish]]] = {
    "ours": ours,
    "ours through ASGI": ours_through_asgi,
    "websockets-sansio": bare("websockets-sansio"),
    "wsproto": bare("wsproto"),
    "websockets": bare("websockets"),
    "python-socketio": python_socketio,
    "aiohttp": aiohttp_loop,
    "picows": picows_loop,
}

if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
