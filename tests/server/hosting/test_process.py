"""`utd serve` and `utd project` as processes on one database: what one changes, the other notices within seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.postgres import PostgresServer
from tests.server.serving.process import PATIENCE, Served, served
from utd_core.cli.main import app
from utd_core.server.hosting.vault import VARIABLE, new_key

SECONDS = 10.0
"""In which a server has noticed, on a machine that is busy."""


class Place:
    """A folder with settings for both programs. `utd project` runs in this process, the server in one of its own."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.environment = {VARIABLE: new_key(), "UTD_STORE": store}

    def utd(self, *arguments: str) -> str:
        """What `utd project` says."""
        ran = CliRunner().invoke(app, ["project", *arguments], env=self.environment)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def told(self, *arguments: str) -> dict[str, Any]:
        """The same with --json."""
        said: dict[str, Any] = json.loads(self.utd(*arguments, "--json"))
        return said


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    store = "utd.db"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        store = server.url()
    return Place(tmp_path, store)


@pytest.fixture
def server(place: Place) -> Iterator[Served]:
    with served(place.folder, dev=False, **place.environment) as running:
        yield running


def address(server: Served) -> str:
    return server.wait_for(r"ready at (http://[\d.:]+)")[1]


def rooms(server: Served, project: dict[str, Any]) -> httpx.Response:
    headers = {"X-App-Id": project["app_id"], "X-App-Secret": project["secret"]}
    return httpx.get(f"{address(server)}/api/v1/rooms", headers=headers)


@contextmanager
def socket_of(server: Served, project: dict[str, Any]) -> Iterator[ClientConnection]:
    url = address(server).replace("http", "ws", 1)
    with connect(f"{url}/app/{project['key']}?protocol=7", open_timeout=PATIENCE) as socket:
        assert json.loads(socket.recv(PATIENCE))["event"] == "pusher:connection_established"
        yield socket


def close_code(socket: ClientConnection) -> int:
    """With which it ends; 0 where it breaks."""
    try:
        while True:
            socket.recv(SECONDS)
    except ConnectionClosed as closed:
        return 0 if closed.rcvd is None else closed.rcvd.code


def within_seconds(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.05)


def test_a_running_server_learns_of_everything(place: Place, server: Served) -> None:
    assert httpx.get(f"{address(server)}/ready").status_code == 200, "without any project"
    shop = place.told("create", "shop")
    within_seconds(lambda: rooms(server, shop).status_code == 200, "a new project is served")
    assert rooms(server, {**shop, "secret": "wrong"}).status_code == 401

    new = place.told("rotate", "shop")
    within_seconds(lambda: rooms(server, new).status_code == 200, "a new secret is accepted")
    assert rooms(server, shop).status_code == 200, "beside the old one"
    place.utd("rotate", "shop", "--finish")
    within_seconds(lambda: rooms(server, shop).status_code == 401, "the old secret is accepted no more")

    place.utd("change", "shop", "--limit", "commands_per_second=0.01", "--limit", "burst=1")
    within_seconds(lambda: rooms(server, new).status_code == 429, "a limit binds")
    place.utd("change", "shop", "--limit", "commands_per_second=none")
    within_seconds(lambda: rooms(server, new).status_code == 200, "and is taken away")

    with socket_of(server, new) as socket:
        place.utd("suspend", "shop")
        assert close_code(socket) == 4003
    within_seconds(lambda: rooms(server, new).json().get("code") == "project_suspended", "it is suspended")
    place.utd("resume", "shop")
    within_seconds(lambda: rooms(server, new).status_code == 200, "it goes on")

    with socket_of(server, new) as socket:
        assert "rows deleted" in place.utd("delete", "shop", "--yes", "--wait", "5")
        assert close_code(socket) == 4001
    assert rooms(server, new).status_code == 401
    assert place.told("create", "shop")["key"] != new["key"]
    assert server.end() == 0


def test_a_server_reads_with_a_new_key_what_an_old_one_sealed(place: Place) -> None:
    shop = place.told("create", "shop")
    fresh, old = new_key(), place.environment[VARIABLE]
    with served(place.folder, dev=False, **{**place.environment, VARIABLE: f"{fresh},{old}"}) as server:
        assert rooms(server, shop).status_code == 200
        assert server.end() == 0
    with served(place.folder, dev=False, **{**place.environment, VARIABLE: fresh}) as server:
        refused = rooms(server, shop)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert VARIABLE not in refused.text, "nobody outside is told how the server is made"
        assert server.end() == 0
        assert old not in server.output
        assert fresh not in server.output
