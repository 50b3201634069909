"""A server for `benchmarks.http`, in a process of its own: `python -m benchmarks._http_server NAME`.

Runs on one core, on uvloop and httptools. Prints its port; then, for each line of its standard input, the seconds of
CPU that it has used; and ends with that. `starlette` and `fastapi` are two routes that answer what seat commands
answer; any other name is a file or an URL, where an engine has its store.
"""

from __future__ import annotations

import asyncio
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
from utd_core.server.serving.collector import short_pauses

LIMITS = ProjectLimits(commands_per_second=1e6, burst=1_000, identity_commands_per_second=1e6, identity_burst=1_000)
"""Out of reach, but kept like any others."""
SETTINGS = EngineSettings(ticket_ttl=3_600)
"""Nobody connects to the media server, and all are there to the end."""
PROJECT = Project("bench", "key", ("secret",), limits=LIMITS)


SEATS = "/api/v1/rooms/{room}/seats"


def seat(index: int) -> dict[str, Any]:
    return {
        "index": index,
        "identity": "guest-1",
        "locked": False,
        "audio_locked": False,
        "video_locked": False,
        "muted_audio": False,
        "muted_video": False,
        "reserved_for": None,
    }


def starlette() -> Any:
    async def take(request: Request) -> Response:
        await request.body()
        return JSONResponse(seat(int(request.path_params["index"])))

    async def leave(request: Request) -> Response:
        await request.body()
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route(SEATS + "/{index}/take", take, methods=["POST"]),
            Route(SEATS + "/leave", leave, methods=["POST"]),
        ]
    )


def fastapi() -> Any:
    from fastapi import Body, FastAPI

    app = FastAPI()
    some = Body()

    @app.post(SEATS + "/{index}/take")
    async def take(room: str, index: int, body: dict[str, Any] = some) -> dict[str, Any]:
        return seat(index)

    @app.post(SEATS + "/leave", status_code=204)
    async def leave(room: str, body: dict[str, Any] = some) -> None:
        pass

    return app


def engine(store: str) -> Any:
    return asgi(Engine("mock", store=store, app_id=PROJECT.app_id, settings=SETTINGS), PROJECT)


async def serve(app: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        app, http="httptools", log_level="error", access_log=False, proxy_headers=False, timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not (server.started or serving.done()):  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    with short_pauses():
        print(listener.getsockname()[1], flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(process_time(), flush=True)
        server.should_exit = True
        await serving


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    bare = {"starlette": starlette, "fastapi": fastapi}.get(sys.argv[1])
    app = engine(sys.argv[1]) if bare is None else bare()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))


if __name__ == "__main__":
    main()
