"""Three `utd serve` as processes on one PostgreSQL and one Redis, behind nothing: clients choose a node themselves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.postgres import PostgresServer
from tests.redis import RedisServer
from tests.server.serving.process import Served, served
from utd_core.server.projects import Project

PROJECT = Project("shop", "key-of-the-shop-1", ("secret-of-the-shop",))
HEADERS = {"X-App-Id": PROJECT.app_id, "X-App-Secret": PROJECT.secret}

SETTINGS = """
store = "{store}"
bus = "{bus}"
log_format = "json"

[engine]
# Nobody here has a media connection, and nobody is given up for that.
ticket_ttl = 3600

[project]
app_id = "shop"
key = "key-of-the-shop-1"
secrets = ["secret-of-the-shop"]

[project.limits]
identity_commands_per_second = 1000
identity_burst = 1000
"""


class Fleet:
    """`nodes`: all that were ever started."""

    def __init__(self, folder: Path, postgres: PostgresServer, redis: RedisServer, stack: ExitStack) -> None:
        self.postgres = postgres
        self.redis = redis
        self.nodes: list[Node] = []
        self._folder = folder
        self._stack = stack
        (folder / "utd.toml").write_text(SETTINGS.format(store=postgres.url(), bus=redis.url))

    def start(self, count: int = 3) -> Self:
        """Start as many nodes; they are ready when this returns."""
        fresh = [Node(self._stack.enter_context(served(self._folder, dev=False))) for _ in range(count)]
        for node in fresh:
            node.wait_until_ready()
        self.nodes += fresh
        return self

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes if node.serves]

    def holder(self) -> Node:
        """The node that holds the project, by what the nodes say."""
        return max(self.nodes, key=lambda node: node.held_at)


class Node:
    """`serves`: it is meant to answer."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.serves = True
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

    def kill(self) -> None:
        """kill -9."""
        self.serves = False
        self._served.end(signal.SIGKILL)

    def end(self) -> int:
        """SIGTERM; the exit status."""
        self.serves = False
        return self._served.end()

    def freeze(self) -> None:
        """Cut it off: it keeps every connection, and neither says nor does anything."""
        self.serves = False
        self._served.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._served.process.send_signal(signal.SIGCONT)
        self.serves = True


@contextmanager
def fleet(folder: Path, postgres: PostgresServer, redis: RedisServer) -> Iterator[Fleet]:
    """Nodes that are killed at the end, if they still run."""
    with ExitStack() as stack:
        yield Fleet(folder, postgres, redis, stack)
