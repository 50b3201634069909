"""A page of examples/ in a headless Chromium that nobody here wrote, on a web server of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.node import ROOT, node_process, packages

PUSHER = "pusher-js/dist/web/pusher.min.js"
LIVEKIT = "livekit-client/dist/livekit-client.umd.js"
LIVEKIT_WORKER = "livekit-client/dist/livekit-client.e2ee.worker.js"
EXAMPLES = ROOT / "examples"
MAIN = Path(__file__).with_name("main.mjs")
DEADLINE = 60.0


class Page:
    """Whoever sits before it: `do` presses and fills, looks and listens (see main.mjs)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def do(self, command: str, **fields: Any) -> Any:
        """What a command is answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        answer = await self.hear()
        assert "failure" not in answer, answer
        return answer["answer"]

    async def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE)
        assert line, "the browser has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def until(self, selector: str, words: str = "") -> None:
        """Wait for an element, and for the words in it."""
        await self.do("until", selector=selector, words=words)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def web_server(folder: Path, example: str, *scripts: str) -> Iterator[str]:
    """The page of an example, with stock scripts of npm packages (`pusher-js/dist/web/pusher.min.js`) beside it; its
    origin. `folder`: where they are laid out."""
    shutil.copytree(EXAMPLES / example, folder)
    for script in scripts:
        shutil.copy(packages() / "node_modules" / script, folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, name="web server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def browser(origin: str) -> AsyncIterator[Page]:
    """A browser that shows the page."""
    found = await asyncio.to_thread(packages)
    async with node_process(found, MAIN, found, f"{origin}/index.html", patience=DEADLINE) as process:
        page = Page(process)
        await page.hear()
        yield page
