"""Webhooks of `utd serve`, told over a real network to an application that is really somewhere else."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.serving.process import PATIENCE, UTD, Served, clean_environment, run, run_utd, served
from utd_core.server.hosting.vault import VARIABLE, new_key
from utd_core.server.webhooks import SIGNATURE, Delivery, sign, verify

from .world import SECRET

IMPATIENT = ("--set", "webhooks.timeout=1")
"""What a process that was killed had in hand is anybody's some seconds after this."""
LOBBY = {"room": "lobby", "type": "audio_room", "owner": "ann"}


class Application:
    """An HTTP server in threads: `taken` are the deliveries that it answered 200."""

    def __init__(self) -> None:
        self.taken: list[Delivery] = []
        self.tried = 0
        self.status = 200
        self.secret = SECRET
        self.body, self.signature = b"", ""
        self._told = threading.Condition()
        self.listens = threading.Event()
        self.listens.set()
        self.life = 0
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                life = application.life
                application.listens.wait(PATIENCE)
                if life != application.life:
                    return
                delivery = verify(body, self.headers[SIGNATURE], application.secret)
                with application._told:
                    application.tried += 1
                    application.body, application.signature = body, self.headers[SIGNATURE]
                    if application.status == 200:
                        application.taken.append(delivery)
                    application._told.notify_all()
                self.send_response(application.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def begin_anew(self) -> None:
        """Listen again, having lost whatever was under way."""
        self.life += 1
        self.listens.set()

    def waited(self, seconds: float) -> None:
        """Wait for another delivery, if one comes."""
        with self._told:
            self._told.wait(seconds)

    def until_signed_with(self, secret: str, make: Callable[[], None], *, alone: bool = False) -> None:
        """Have something happen until a delivery has the signature of this secret, or that alone."""
        until = time.monotonic() + PATIENCE
        while True:
            make()
            self.waited(0.3)
            with self._told:
                right = sign(self.body, secret)
                if self.signature == right if alone else right in self.signature.split(","):
                    return
            assert time.monotonic() < until

    def wait_for(self, condition: Any, what: str) -> None:
        with self._told:
            assert self._told.wait_for(condition, PATIENCE), f"{what}: {self.taken}"


@pytest.fixture
def application() -> Iterator[Application]:
    application = Application()
    thread = threading.Thread(target=application.server.serve_forever, args=(0.05,))
    thread.start()
    yield application
    application.listens.set()
    application.server.shutdown()
    application.server.server_close()
    thread.join(PATIENCE)


def endpoint(application: Application, **fields: Any) -> str:
    """The settings of one endpoint, as the environment has them."""
    return json.dumps([{"name": "hook", "url": application.url, "secrets": [SECRET], **fields}])


@contextmanager
def serving(folder: Path, application: Application, *arguments: str) -> Iterator[Served]:
    with served(folder, "--store", "utd.db", *arguments, UTD_PROJECT__WEBHOOKS=endpoint(application)) as server:
        yield server


def create(server: Served, *rooms: str) -> None:
    for room in rooms:
        made = httpx.post(f"{server.address}/api/v1/rooms", json={**LOBBY, "room": room}, headers=server.headers)
        assert made.status_code == 201


def test_an_event_is_told_and_counted(tmp_path: Path, application: Application) -> None:
    with serving(tmp_path, application) as server:
        create(server, "lobby")
        application.wait_for(lambda: application.taken, "the event")
        assert (application.taken[0].type, application.taken[0].room) == ("room_created", "lobby")
        server.end()
        assert SECRET not in server.output


def test_what_was_acknowledged_when_the_process_was_killed_is_told_by_the_next_one(
    tmp_path: Path, application: Application
) -> None:
    application.listens.clear()
    with serving(tmp_path, application, *IMPATIENT) as server:
        create(server, "one", "two", "three")
        for room in ("one", "two"):
            httpx.put(f"{server.address}/api/v1/rooms/{room}/metadata", json={"metadata": {}}, headers=server.headers)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    application.begin_anew()
    with serving(tmp_path, application, *IMPATIENT):
        application.wait_for(lambda: len({each.id for each in application.taken}) == 5, "all events")
    told = [(each.room, each.sequence) for each in application.taken]
    assert sorted(told) == [("one", 1), ("one", 2), ("three", 1), ("two", 1), ("two", 2)]
    for room in ("one", "two"):
        assert told.index((room, 1)) < told.index((room, 2))


def test_a_server_that_ends_tells_first_what_is_due(tmp_path: Path, application: Application) -> None:
    application.listens.clear()
    with serving(tmp_path, application) as server:
        create(server, "lobby")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("ending")
        application.listens.set()
        assert server.wait() == 0
    assert [each.room for each in application.taken] == ["lobby"]


def test_a_server_that_ends_does_not_wait_for_ever(tmp_path: Path, application: Application) -> None:
    application.listens.clear()
    with serving(tmp_path, application, "--set", "webhooks.flush_timeout=0.2") as server:
        create(server, "lobby")
        assert server.end() == 0
        assert "what is left is in the store" in server.output


def test_without_a_word_it_calls_nobody_on_this_machine(tmp_path: Path, application: Application) -> None:
    refused = ("--set", "webhooks.allow_private=false", "--set", "webhooks.flush_timeout=0.2")
    with serving(tmp_path, application, *refused, "--set", "log_level=info") as server:
        create(server, "lobby")
        server.wait_for("is not on the public internet")
    assert application.tried == 0


def test_settings_show_neither_secrets_nor_tokens_in_urls(tmp_path: Path, application: Application) -> None:
    application.url += "?token=planted-token"
    ran = run(tmp_path, "--dev", "--print-settings", UTD_PROJECT__WEBHOOKS=endpoint(application, types=["room_*"]))
    assert ran.returncode == 0
    assert "[[project.webhooks]]" in ran.stdout
    assert 'types = ["room_*"]' in ran.stdout
    assert SECRET not in ran.stdout
    assert "planted-token" not in ran.stdout


@pytest.mark.parametrize("wrong", [{"url": "ftp://x"}, {"types": ["no_such"]}, {"secrets": ["short"]}, {"name": "a b"}])
def test_an_endpoint_that_is_none_is_told_before_anything_listens(
    tmp_path: Path, application: Application, wrong: dict[str, Any]
) -> None:
    ran = run(tmp_path, "--dev", UTD_PROJECT__WEBHOOKS=endpoint(application, **wrong))
    assert ran.returncode == 1
    assert "webhook" in ran.stderr
    assert "Traceback" not in ran.stderr


class TestListen:
    @contextmanager
    def listening(self, *arguments: str) -> Iterator[tuple[Served, str]]:
        process = subprocess.Popen(
            [UTD, "webhook", "listen", "--port", "0", *arguments],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        listener = Served(process)
        try:
            yield listener, listener.wait_for(r"Listening at (http\S+)/")[1]
        finally:
            process.kill()
            listener.wait()

    def test_prints_what_comes_and_verifies_it(self, tmp_path: Path) -> None:
        with self.listening() as (listener, url):
            secret = listener.wait_for(r"secret for it: (\S+)")[1]
            told = json.dumps([{"name": "dev", "url": f"{url}/hook", "secrets": [secret]}])
            with served(tmp_path, UTD_PROJECT__WEBHOOKS=told) as server:
                create(server, "lobby")
                listener.wait_for(r"lobby #1 room_created \{")

    def test_says_what_is_not_signed(self) -> None:
        with self.listening("--secret", SECRET) as (listener, url):
            assert httpx.post(url, content=b"{}", headers={SIGNATURE: sign(b"{}", "x" * 20)}).status_code == 401
            listener.wait_for("^REFUSED: this is not signed")

    def test_says_what_came_before(self, tmp_path: Path) -> None:
        with self.listening("--secret", SECRET, "--status", "500") as (listener, url):
            told = json.dumps([{"name": "dev", "url": url, "secrets": [SECRET]}])
            with served(tmp_path, UTD_PROJECT__WEBHOOKS=told) as server:
                create(server, "lobby")
                listener.wait_for(r"room_created \(attempt 2\) \(again\)")


class TestTheDead:
    def test_are_listed_and_tried_again(self, tmp_path: Path, application: Application) -> None:
        settings = f"""
            store = "utd.db"
            [project]
            app_id = "shop"
            key = "key-of-the-shop-1"
            secrets = ["secret-of-the-shop"]
            [[project.webhooks]]
            name = "hook"
            url = "{application.url}"
            secrets = ["{SECRET}"]
            [webhooks]
            allow_http = true
            allow_private = true
        """
        (tmp_path / "utd.toml").write_text(settings)
        bury(tmp_path)
        listed = utd(tmp_path, "dead").stdout.splitlines()
        assert [line.partition(" ")[2] for line in listed] == [
            "hook 2023-11-14 22:13:20 room 'lobby' room_ended: it answered 500",
            "hook 2023-11-14 22:13:20 room 'attic' room_ended: it answered 500",
        ]
        number = listed[0].partition(" ")[0]
        (told,) = utd(tmp_path, "dead", "--json", "--after", number).stdout.splitlines()
        assert json.loads(told)["id"] == "attic"
        assert utd(tmp_path, "redeliver", number).stdout == "1 will be tried again\n"
        with served(tmp_path, dev=False):
            application.wait_for(lambda: application.taken, "the dead one")
        assert [each.id for each in application.taken] == ["lobby"]
        assert utd(tmp_path, "redeliver", "--all").stdout == "1 will be tried again\n"
        assert utd(tmp_path, "dead").stdout == ""
        assert utd(tmp_path, "redeliver", check=False).returncode == 1


def utd(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    ran = run_utd(folder, "webhook", *arguments, TZ="UTC")
    if check:
        ran.check_returncode()
    return ran


def bury(folder: Path) -> None:
    """Put two dead letters into the store, as a day of failures would."""
    program = """
import asyncio, json
from utd_core.store import Commit, open_store
from utd_core.store.outbox import Outgoing

async def main():
    async with open_store("utd.db") as database, database.scoped("shop") as store:
        for key in ("lobby", "attic"):
            told = {"id": key, "type": "room_ended", "app_id": "shop", "sequence": 1, "epoch": "e", "at": 1.7e9,
                    "room": key, "data": {}}
            parcel = Outgoing("hook", "room", key, key, "room_ended", 1.7e9, json.dumps(told).encode())
            await store.commit(Commit(outbox=[parcel]))
            (claimed,) = await store.outbox.claim("hook", 2e9, 2e9, 1)
            await store.outbox.bury(claimed, "it answered 500", 2e9, 2e9)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, env=clean_environment())


class TestAProjectInTheDatabase:
    """Its endpoints are the database's too; nobody has to ask for the project for them to be told."""

    @pytest.fixture
    def environment(self) -> dict[str, str]:
        return {VARIABLE: new_key()}

    @pytest.fixture
    def project(self, tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
        (tmp_path / "utd.toml").write_text(
            'store = "utd.db"\n[webhooks]\nallow_http = true\nallow_private = true\nflush_timeout = 0.2\n'
        )
        ran = command(tmp_path, environment, "project", "create", "shop", "--json")
        made = json.loads(ran)
        return {"X-App-Id": made["app_id"], "X-App-Secret": made["secret"]}

    def test_is_told_by_the_next_server_what_the_killed_one_owed_though_nobody_asks_for_it(
        self, tmp_path: Path, application: Application, environment: dict[str, str], project: dict[str, str]
    ) -> None:
        said = command(tmp_path, environment, "webhook", "add", "hook", application.url, "--project", "shop")
        application.secret = said.split()[-1]
        application.listens.clear()
        with on_a_port(tmp_path, environment, *IMPATIENT) as (server, address):
            for room in ("one", "two"):
                made = httpx.post(f"{address}/api/v1/rooms", json={**LOBBY, "room": room}, headers=project)
                assert made.status_code == 201
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
        application.begin_anew()
        with on_a_port(tmp_path, environment, *IMPATIENT):
            application.wait_for(lambda: {each.room for each in application.taken} == {"one", "two"}, "both rooms")

    def test_that_is_changed_while_a_server_runs_is_told_so(
        self, tmp_path: Path, application: Application, environment: dict[str, str], project: dict[str, str]
    ) -> None:
        def make(room: str) -> None:
            made = httpx.post(f"{address}/api/v1/rooms", json={**LOBBY, "room": room}, headers=project)
            assert made.status_code == 201

        with on_a_port(tmp_path, environment) as (server, address):
            make("before")
            said = command(tmp_path, environment, "webhook", "add", "hook", application.url, "--project", "shop")
            first = application.secret = said.split()[-1]
            rooms = iter(f"room {n}" for n in range(1_000))
            # Noticed within seconds; until then nobody is told.
            until_told(lambda: make(next(rooms)), application)
            said = command(tmp_path, environment, "webhook", "rotate", "hook", "--project", "shop")
            second = said.split()[-1]
            # The application has the first one still, and then the new one: either is served.
            application.until_signed_with(second, lambda: make(next(rooms)))
            application.secret = second
            command(tmp_path, environment, "webhook", "rotate", "hook", "--project", "shop", "--finish")
            application.until_signed_with(second, lambda: make(next(rooms)), alone=True)
            assert "before" not in {each.room for each in application.taken}
            server.end()
        for secret in (first, second, project["X-App-Secret"], environment[VARIABLE]):
            assert secret not in server.output


def command(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """What `utd` says, which goes well."""
    ran = run_utd(folder, *arguments, **environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def on_a_port(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[tuple[Served, str]]:
    """A server without `--dev`, and its address once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with served(folder, "--port", str(port), *arguments, dev=False, **environment) as server:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                assert httpx.get(f"{address}/health").status_code == 200
                break
            except httpx.TransportError:
                assert server.process.poll() is None, server.output
                assert time.monotonic() < until, server.output
        yield server, address


def until_told(make: Callable[[], None], application: Application) -> None:
    """Have something happen until the application was told of one."""
    until = time.monotonic() + PATIENCE
    while not application.taken:
        assert time.monotonic() < until
        make()
        application.waited(0.3)
