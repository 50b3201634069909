"""`utd serve` with a secret in every place: whatever happens to it, none of them is ever said."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.server.webhooks.test_process import command, on_a_port
from utd_core.server.hosting.vault import VARIABLE, new_key

from .process import Served, clean_environment, run

LOUD = ("--set", "log_level=debug", "--set", "log_format=json")
DATABASE, REDIS, TURN = "planted-p@ss-of-the-database", "planted-redis-password", "planted-turn-credential"
METRICS, URL_TOKEN = "planted-metrics-token", "planted-token-of-a-url"


def parts(token: str) -> list[str]:
    """A token, and what makes it one: its signature."""
    return [token, token.rpartition(".")[2]]


async def talk(address: str, key: str, tokens: list[str]) -> None:
    """Open event sockets, with credentials wherever somebody might put them."""
    for token in tokens:
        for query in ("protocol=7", f"protocol=7&token={quote(token)}&auth={quote(token)}", f"protocol={quote(token)}"):
            # Those that are refused are closed at once.
            async with connect(f"{address.replace('http', 'ws')}/app/{key}?{query}") as socket:
                await socket.recv()
                for event, data in (
                    ("pusher:signin", {"token": token}),
                    ("pusher:signin", {"auth": token, "user_data": "{}"}),
                    ("pusher:subscribe", {"channel": "private-x", "auth": token}),
                    (token, {"token": token}),
                ):
                    with suppress(ConnectionClosed):
                        await socket.send(json.dumps({"event": event, "data": data}))
        async with connect(f"{address.replace('http', 'ws')}/app/{quote(token)}?protocol=7") as socket:
            await socket.recv()


def ask_everything(address: str, key: str, secret: str) -> list[str]:
    """Requests that go well and wrong, with a credential in each place; the tokens that were handed out."""
    here = {"X-App-Id": "shop"}
    with httpx.Client(base_url=address, trust_env=False) as http:
        good = {**here, "X-App-Secret": secret}
        session = http.post("/api/v1/auth/session", headers=good, json={"identity": "ann"}).json()
        token = session["user_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        room = {"room": "lobby", "type": "audio_room", "as_host": True}
        ticket = http.post("/api/v1/token", headers=bearer, json=room).json()
        for credential in (secret, key, token, ticket["token"], METRICS):
            for headers in (
                {**here, "X-App-Secret": credential},
                {**here, "X-App-Key": credential},
                {"Authorization": f"Bearer {credential}"},
                {"Authorization": credential, "Cookie": f"session={credential}"},
                {"X-App-Id": credential, "X-App-Secret": credential, "Idempotency-Key": credential},
            ):
                for path in ("/api/v1/rooms", f"/api/v1/rooms/{quote(credential)}", "/metrics", "/apps/shop/events"):
                    http.get(path, headers=headers, params={"token": credential, "auth_signature": credential})
                http.post("/api/v1/rooms", headers=headers, content=credential)
                http.post("/api/v1/bans", headers=headers, json={"identity": credential, "reason": credential})
                http.post("/api/v1/channels/auth", headers=headers, data={"socket_id": credential})
    return [token, ticket["token"], ticket["user_token"]]


def check(server: Served, secrets: list[str]) -> None:
    for secret in secrets:
        assert secret not in server.output, f"{secret} was said"


def test_a_server_that_has_seen_every_credential_says_none(tmp_path: Path) -> None:
    vault_key = new_key()
    environment = {VARIABLE: vault_key, "UTD_METRICS_TOKEN": METRICS}
    (tmp_path / "utd.toml").write_text('store = "utd.db"\n[webhooks]\nallow_http = true\nallow_private = true\n')
    made = json.loads(command(tmp_path, environment, "project", "create", "shop", "--json"))
    # Nobody listens there, so each try fails, and is logged.
    url = f"http://127.0.0.1:1/hook?token={URL_TOKEN}"
    said = command(tmp_path, environment, "webhook", "add", "hook", url, "--project", "shop")
    hook = said.split()[-1]
    with on_a_port(tmp_path, environment, *LOUD) as (server, address):
        tokens = ask_everything(address, made["key"], made["secret"])
        server.wait_for("webhook hook did not take")
        asyncio.run(talk(address, made["key"], [*tokens, made["secret"]]))
        rotated = command(tmp_path, environment, "webhook", "rotate", "hook", "--project", "shop").split()[-1]
        # A database that fails in the middle of everything.
        (tmp_path / "utd.db").chmod(0o400)
        ask_everything_again(address, made["secret"])
        server.end(signal.SIGTERM)
    assert len(server.log) > 100
    check(
        server,
        [
            vault_key, METRICS, made["secret"], hook, rotated, URL_TOKEN,
            *(part for token in tokens for part in parts(token)),
        ],
    )  # fmt: skip


def ask_everything_again(address: str, secret: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as http:
        for n in range(5):
            headers = {"X-App-Id": "shop", "X-App-Secret": secret}
            http.post("/api/v1/rooms", headers=headers, json={"room": f"room {n}", "type": "audio_room"})


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"UTD_STORE": f"postgresql://utd:{quote(DATABASE)}@127.0.0.1:1/utd"}, DATABASE),
        ({"UTD_STORE": f"postgresql+nothing://utd:{quote(DATABASE)}@127.0.0.1:1/utd"}, DATABASE),
        ({"UTD_MEDIA_SETTINGS": json.dumps({"ice_servers": [{"urls": "turn:x", "credential": TURN}]})}, TURN),
        ({"UTD_MEDIA_SETTINGS": f'{{"credential": "{TURN}"'}, TURN),
        ({"UTD_PROJECT__SECRETS": f'["{TURN}'}, TURN),
        ({"UTD_PROJECT": json.dumps({"app_id": "shop", "key": "k", "secrets": [TURN], "more": TURN})}, TURN),
        ({"UTD_METRICS_TOKEN": METRICS, "UTD_DRAIN_DELAY": METRICS}, METRICS),
    ],
)
def test_a_server_that_does_not_start_says_why_and_no_secret(
    tmp_path: Path, given: dict[str, str], secret: str
) -> None:
    environment = {**given, VARIABLE: new_key()}
    ran = run(tmp_path, "--port", "0", *LOUD, **environment)
    assert ran.returncode == 1
    assert ran.stderr
    for each in (secret, quote(secret), environment[VARIABLE]):
        assert each not in ran.stdout + ran.stderr


def test_a_key_of_the_vault_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    ran = run(tmp_path, "--port", "0", **{VARIABLE: "planted-key-that-is-none"})
    assert ran.returncode == 1
    assert VARIABLE in ran.stderr
    assert "planted" not in ran.stderr


def test_settings_are_printed_without_any_of_them(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "UTD_STORE": f"postgresql://utd:{quote(DATABASE)}@db.example.com/utd",
        "UTD_MEDIA_SETTINGS": json.dumps({"ice_servers": [{"urls": "turn:x", "credential": TURN}]}),
        "UTD_METRICS_TOKEN": METRICS,
    }
    ran = run(tmp_path, "--print-settings", **settings)
    assert ran.returncode == 0, ran.stderr
    for secret in (DATABASE, quote(DATABASE), TURN, METRICS):
        assert secret not in ran.stdout
    assert "postgresql://utd:" in ran.stdout


def test_a_bus_whose_redis_is_away_says_so_without_its_password() -> None:
    """As a process of its own would log it: everything, at every level."""
    program = f"""
import asyncio, logging, sys
logging.basicConfig(level=logging.DEBUG)
from utd_core.bus.redis import RedisMessages
from utd_core.errors import UTDStreamException

async def main():
    for url in ("redis://:{REDIS}@127.0.0.1:1/0", "redis://utd:{REDIS}@127.0.0.1:1/0?x={REDIS}", "redis//:{REDIS}"):
        try:
            bus = RedisMessages(url, patience=0.2)
            print(repr(bus))
            async with bus:
                await bus.publish("topic", b"x")
        except UTDStreamException as error:
            print(error, error.details)

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert re.search("127.0.0.1:1", said)
    assert REDIS not in said
