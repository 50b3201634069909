"""A project that is served by uvicorn on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvicorn

from utd_core.engine import Engine
from utd_core.server import asgi

from .world import a_project

T = TypeVar("T")


class Served:
    """The project is `alpha`, as in `World`."""

    def __init__(self) -> None:
        self.port = 0
        self.engine = Engine("mock", app_id="alpha")
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done where the engine is."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            app = asgi(self.engine, a_project("alpha"))
            config = uvicorn.Config(app, log_level="error", access_log=False, http="httptools", ws="none")
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve(sockets=[listener]))
            while not self._server.started:  # it tells nobody
                await asyncio.sleep(0.01)
            self._ready.set()
            await serving
