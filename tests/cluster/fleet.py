"""`utd serve` as processes on one PostgreSQL and one Redis. Where they run is their site's affair."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.postgres import PostgresServer
from tests.redis import RedisServer
from tests.server.serving.process import Served, served
from utd_core.server.projects import Project

from .studio import NAME, Studio

PROJECT = Project("shop", "key-of-the-shop-1", ("secret-of-the-shop",))
HEADERS = {"X-App-Id": PROJECT.app_id, "X-App-Secret": PROJECT.secret}
ROOT = Path(__file__).parents[2]

PROJECT_SETTINGS = f"""
[project]
app_id = "{PROJECT.app_id}"
key = "{PROJECT.key}"
secrets = ["{PROJECT.secret}"]

[project.flags]
allow_app_key_identity_mint = true
"""
"""The project in a node's settings."""
SETTINGS = """
log_format = "json"
media = "{media}"

[media_settings]
path = "{studio}"
{project}
[project.limits]
identity_commands_per_second = 1000
identity_burst = 1000

[engine]
# The writers have no media connection, and are not given up for that.
ticket_ttl = 3600
return_grace = 3600
"""


@dataclass(frozen=True)
class Site:
    """Where a node runs: `inside()` is the network that its process is started in."""

    store: str
    bus: str
    host: str = "127.0.0.1"
    inside: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)


class Fleet:
    """`nodes`: all that were ever started. `site(number)` is where the next one goes."""

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        redis: RedisServer,
        studio: Studio,
        site: Callable[[int], Site] | None = None,
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        self.studio = studio
        self.nodes: list[Node] = []
        self._site = site or (lambda number: Site(postgres.url(), redis.url))
        self._folder = folder
        self._stack = ExitStack()
        (folder / "utd.toml").write_text(SETTINGS.format(media=NAME, studio=studio.path, project=PROJECT_SETTINGS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exit: object) -> None:
        """Nodes that still run are killed."""
        self._stack.close()

    async def start(self, count: int = 3) -> Sequence[Node]:
        """Start as many nodes; they are ready when this returns."""
        sites = [self._site(len(self.nodes) + number) for number in range(count)]
        fresh = await asyncio.to_thread(lambda: [Node(self._stack.enter_context(self._run(site))) for site in sites])
        self.nodes += fresh
        for node in fresh:
            await asyncio.to_thread(node.wait_until_ready)
        return fresh

    @property
    def urls(self) -> list[str]:
        """Of the nodes that are meant to answer."""
        return [node.url for node in self.nodes if node.serves]

    @property
    def addresses(self) -> list[str]:
        """Of all nodes whose process was not ended."""
        return [node.url for node in self.nodes if node.url and not node.has_ended]

    def holder(self) -> Node:
        """The node that holds the project, by what the nodes say."""
        return max(self.nodes, key=lambda node: node.held_at)

    def another(self) -> Node:
        """A node that serves and does not hold the project."""
        holder = self.holder()
        return next(node for node in self.nodes if node.serves and node is not holder)

    @contextmanager
    def _run(self, site: Site) -> Iterator[Served]:
        environment = {**self.studio.environment(ROOT), "UTD_STORE": site.store, "UTD_BUS": site.bus}
        with ExitStack() as stack:
            with site.inside():
                running = stack.enter_context(served(self._folder, "--host", site.host, dev=False, **environment))
            yield running


class Node:
    """`serves`: it is meant to answer; `has_ended`: its process is gone."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.serves = True
        self.has_ended = False
        self.url = ""

    def wait_until_ready(self) -> None:
        self.url = self._served.wait_for(r"ready at (http://[^\s\"]+)")[1]

    @property
    def held_at(self) -> int:
        """The term in which it began to hold the project last; 0 for one that never did."""
        lines = [line for line in self._served.output.splitlines() if "works for project shop now" in line]
        return int(lines[-1].partition("in term ")[2].partition('"')[0]) if lines else 0

    @property
    def output(self) -> str:
        return self._served.output

    async def kill(self) -> None:
        """kill -9."""
        self.serves, self.has_ended = False, True
        await asyncio.to_thread(self._served.end, signal.SIGKILL)

    async def end(self) -> int:
        """SIGTERM; the exit status."""
        self.serves = False
        status = await asyncio.to_thread(self._served.end)
        self.has_ended = True
        return status

    def freeze(self) -> None:
        """Put it to sleep: it keeps every connection, and neither says nor does anything."""
        self.serves = False
        self._served.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._served.process.send_signal(signal.SIGCONT)
        self.serves = True
