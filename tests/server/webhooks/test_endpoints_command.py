"""`utd webhook add`, `list`, `rotate`, `remove`: the endpoints of a project in a database."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.server.serving.process import PATIENCE, UTD, clean_environment
from utd_core.server.hosting.registry import Registry, project_of
from utd_core.server.hosting.vault import VARIABLE, Vault, new_key
from utd_core.server.webhooks import WebhookEndpoint
from utd_core.store import Commit, open_store
from utd_core.store.outbox import Outgoing

KEY = new_key()
URL = "https://shop.example.com/hook?token=planted-token"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server with one project in its database would be started."""

    async def make() -> None:
        async with open_store(tmp_path / "utd.db") as store:
            await Registry(store.projects).create(Vault(KEY), app_id="shop")

    asyncio.run(make())
    return tmp_path


def utd(folder: Path, *arguments: str, key: str | None = KEY) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | ({} if key is None else {VARIABLE: key})
    return subprocess.run(
        [UTD, "webhook", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def said(folder: Path, *arguments: str) -> str:
    ran = utd(folder, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def endpoints(folder: Path) -> dict[str, WebhookEndpoint]:
    """As a server finds them."""

    async def look() -> dict[str, WebhookEndpoint]:
        async with open_store(folder / "utd.db") as store:
            row = await store.projects.load("shop")
            assert row is not None
            assert b"planted-token" not in row.secrets
            found = await Registry(store.projects).webhooks(Vault(KEY), "shop")
            assert found is not None
            return {endpoint.name: endpoint for endpoint in found}

    return asyncio.run(look())


def secret_in(output: str) -> str:
    return output.strip().rpartition(" ")[2]


def test_an_endpoint_from_its_beginning_to_its_end(folder: Path) -> None:
    types = ("--type", "room_ended", "--type", "call_*")
    first = secret_in(said(folder, "add", "orders", URL, "--project", "shop", *types))
    assert endpoints(folder) == {"orders": WebhookEndpoint("orders", URL, (first,), ("room_ended", "call_*"))}
    listed = said(folder, "list", "--project", "shop")
    assert listed == f"orders {URL} room_ended, call_*\n"
    second = secret_in(said(folder, "rotate", "orders", "--project", "shop"))
    assert endpoints(folder)["orders"].secrets == (second, first)
    said(folder, "rotate", "orders", "--project", "shop", "--finish")
    assert endpoints(folder)["orders"].secrets == (second,)
    put_out(folder)
    removed = said(folder, "remove", "orders", "--project", "shop", "--wait", "0.1")
    assert removed.splitlines()[-1] == "1 events for it are deleted"
    assert endpoints(folder) == {}


def test_the_list_has_no_secret(folder: Path) -> None:
    secret = secret_in(said(folder, "add", "all", URL, "--project", "shop"))
    (line,) = said(folder, "list", "--project", "shop", "--json").splitlines()
    assert json.loads(line) == {"name": "all", "url": URL, "types": [], "rotating": False}
    assert secret not in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "orders", URL, "--project", "none"), "no project 'none'"),
        (("add", "orders", "ftp://x", "--project", "shop"), "needs a URL"),
        (("add", "orders", URL, "--project", "shop", "--type", "nothing"), "no type of event"),
        (("add", "taken", URL, "--project", "shop"), "has a webhook 'taken'"),
        (("rotate", "orders", "--project", "shop"), "no webhook 'orders'"),
        (("remove", "orders", "--project", "shop"), "no webhook 'orders'"),
        (("dead", "--project", "none"), "no project 'none'"),
        (("dead",), "give --project"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    put(folder, "taken")
    ran = utd(folder, *arguments)
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "planted-token" not in ran.stderr


def test_without_the_key_of_the_secrets_one_is_told_which_variable_it_is(folder: Path) -> None:
    ran = utd(folder, "list", "--project", "shop", key=None)
    assert ran.returncode == 1
    assert VARIABLE in ran.stderr


def test_a_project_has_so_many_and_no_more(folder: Path) -> None:
    put(folder, *(f"hook{n:02}" for n in range(20)))
    ran = utd(folder, "add", "more", URL, "--project", "shop")
    assert ran.returncode == 1
    assert "20 webhooks at most" in ran.stderr


def test_servers_notice_a_change_as_one_of_the_project(folder: Path) -> None:
    async def versions() -> list[int]:
        async with open_store(folder / "utd.db") as store:
            row = await store.projects.load("shop")
            assert row is not None
            assert len(project_of(row, Vault(KEY).unseal("shop", row.secrets)).webhooks) < 2
            return [row.version]

    before = asyncio.run(versions())
    said(folder, "add", "orders", URL, "--project", "shop")
    assert asyncio.run(versions()) > before


def put(folder: Path, *names: str) -> None:
    """Endpoints of these names, as `add` makes them."""

    async def put_all() -> None:
        async with open_store(folder / "utd.db") as store:
            for name in names:
                endpoint = WebhookEndpoint(name, URL, ("x" * 16,))
                assert await Registry(store.projects).put_webhook(Vault(KEY), "shop", endpoint)

    asyncio.run(put_all())


def put_out(folder: Path) -> None:
    """An event that waits for the endpoint."""

    async def put() -> None:
        async with open_store(folder / "utd.db") as database, database.scoped("shop") as store:
            parcel = Outgoing("orders", "room", "lobby", "e1", "room_ended", 1.0, b"{}")
            await store.commit(Commit(outbox=[parcel]))

    asyncio.run(put())
