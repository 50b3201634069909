"""A server for `benchmarks.http`, in a process of its own: `python -m benchmarks._http_server (bare | STORE)`.

Runs on one core, on uvloop and httptools. Prints its port; then, for each line of its standard input, the seconds of
CPU that it has used; and ends with that. `bare` are two Starlette routes that answer what seat commands answer; else it
is an engine with its store in the file STORE.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from time import process_time
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from utd_core.engine import Engine, EngineSettings
from utd_core.server import Project, ProjectLimits, asgi

LIMITS = ProjectLimits(commands_per_second=1e6, burst=1_000, identity_commands_per_second=1e6, identity_burst=1_000)
"""Out of reach, but kept like any others."""
SETTINGS = EngineSettings(ticket_ttl=3_600)
"""Nobody connects to the media server, and all are there to the end."""
PROJECT = Project("bench", "key", ("secret",), limits=LIMITS)


async def take(request: Request) -> Response:
    await request.body()
    return JSONResponse(
        {
            "index": int(request.path_params["index"]),
            "identity": "guest-1",
            "locked": False,
            "audio_locked": False,
            "video_locked": False,
            "muted_audio": False,
            "muted_video": False,
            "reserved_for": None,
        }
    )


async def leave(request: Request) -> Response:
    await request.body()
    return Response(status_code=204)


def bare() -> Any:
    seats = "/api/v1/rooms/{room}/seats"
    return Starlette(
        routes=[
            Route(seats + "/{index}/take", take, methods=["POST"]),
            Route(seats + "/leave", leave, methods=["POST"]),
        ]
    )


async def serve(app: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        app, http="httptools", log_level="error", access_log=False, proxy_headers=False, timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not (server.started or serving.done()):  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    gc.collect()
    gc.freeze()
    print(listener.getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(process_time(), flush=True)
    server.should_exit = True
    await serving


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    store = sys.argv[1]
    app = (
        bare()
        if store == "bare"
        else asgi(Engine("mock", store=store, app_id=PROJECT.app_id, settings=SETTINGS), PROJECT)
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))


if __name__ == "__main__":
    main()
