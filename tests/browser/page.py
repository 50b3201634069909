"""A page of examples/ in a headless Chromium that nobody here wrote, on a web server of its own, and the server of utd
that it talks to."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.node import ROOT, Program, node_process, packages
from tests.server.serving.process import served

PUSHER = "pusher-js/dist/web/pusher.min.js"
LIVEKIT = "livekit-client/dist/livekit-client.umd.js"
LIVEKIT_WORKER = "livekit-client/dist/livekit-client.e2ee.worker.js"
SCRIPTS = {"audio_room": (PUSHER, LIVEKIT, LIVEKIT_WORKER), "browser_call": (PUSHER,)}
"""Of npm packages, that a page takes."""
EXAMPLES = ROOT / "examples"
MAIN = Path(__file__).with_name("main.mjs")
DEADLINE = 60.0


class Page(Program):
    """Whoever sits before it: `do` presses and fills, looks and listens (see main.mjs)."""

    async def until(self, selector: str, words: str = "") -> None:
        """Wait for an element, and for the words in it."""
        await self.do("until", selector=selector, words=words)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _web_server(folder: Path, example: str) -> Iterator[str]:
    """The page of an example, with the stock scripts that it takes beside it; its origin. `folder`: where they are laid
    out."""
    shutil.copytree(EXAMPLES / example, folder)
    for script in SCRIPTS[example]:
        shutil.copy(packages() / "node_modules" / script, folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, name="web server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Server:
    """`utd serve --dev`, which takes pages of another web server's `origin`."""

    address: str
    app_id: str
    key: str
    origin: str


@asynccontextmanager
async def serving(folder: Path, example: str, media: str, settings: Mapping[str, Any]) -> AsyncIterator[Server]:
    """The page of an example, and a server for it on a media backend with these settings."""
    with ExitStack() as stack:
        origin = stack.enter_context(_web_server(folder / "page", example))
        listed = json.dumps([origin])
        options = ("--media", media, "--set", f"http.origins={listed}", "--set", f"sockets.origins={listed}")
        running = stack.enter_context(served(folder, *options, UTD_MEDIA_SETTINGS=json.dumps(settings)))
        key = await asyncio.to_thread(running.wait_for, r"^ +key +(\S+)")
        yield Server(running.address, running.headers["X-App-Id"], key[1], origin)
        assert await asyncio.to_thread(running.end) == 0


@asynccontextmanager
async def browser(origin: str) -> AsyncIterator[Page]:
    """A browser that shows the page."""
    found = await asyncio.to_thread(packages)
    async with node_process(found, MAIN, found, f"{origin}/index.html", patience=DEADLINE) as process:
        page = Page(process, DEADLINE)
        await page.hear(what="ready")
        yield page
