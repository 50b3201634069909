"""A server for `benchmarks.remote`: `python -m benchmarks._remote_server`.

An engine on the mock with its store in memory, on uvloop and httptools. Prints its URL, and ends with its standard
input.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
import uvloop

from utd_core.engine import Engine, EngineSettings
from utd_core.server import Project, ProjectFlags, ProjectLimits, asgi
from utd_core.server.pusher import UVICORN_OPTIONS

PROJECT = Project(
    "bench",
    "key",
    ("secret",),
    flags=ProjectFlags(allow_app_key_identity_mint=True),
    limits=ProjectLimits(identity_commands_per_second=None),
)


async def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    # Nobody comes to the media rooms, and nobody is given up for that.
    engine = Engine("mock", app_id=PROJECT.app_id, settings=EngineSettings(ticket_ttl=3_600))
    server = uvicorn.Server(
        uvicorn.Config(asgi(engine, PROJECT), log_level="error", access_log=False, **UVICORN_OPTIONS)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not (server.started or serving.done()):  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
