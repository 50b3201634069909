"""`utd serve` as a process: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from utd_core.server.dev import DEV_FILE

from .process import PATIENCE, Served, run, served

BIN = str(Path(sys.executable).parent)


def pasted(line: str) -> str:
    """What a line prints in a shell, with this Python before any other."""
    ran = subprocess.run(
        ["/bin/sh", "-c", line],
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return ran.stdout


@contextmanager
def half_a_request(server: Served) -> Iterator[tuple[socket.socket, bytes]]:
    """A connection on which the server has begun to read a request, and the rest of it."""
    body = b'{"identity": "ann"}'
    head = [b"POST /api/v1/auth/session HTTP/1.1", b"Host: utd", b"Content-Type: application/json"]
    head += [f"{name}: {value}".encode() for name, value in server.headers.items()]
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body[:5]]))
        # What came before is read when a later request is answered.
        assert httpx.get(f"{server.address}/health").status_code == 200
        yield connection, body[5:]


class TestDev:
    def test_its_lines_work_as_pasted(self, tmp_path: Path) -> None:
        with served(tmp_path) as server:
            curl = server.wait_for(r"^ +(curl .*)")[1]
            python = server.wait_for(r"^ +(python3 .*)")[1]
            assert '"user_token"' in pasted(curl)
            assert "'lobby'" in pasted(python)
            assert "'lobby'" in pasted(python), "whoever pastes it again has it again"

    def test_its_credentials_stay_and_are_for_oneself(self, tmp_path: Path) -> None:
        with served(tmp_path) as server:
            first = server.headers
        assert stat.S_IMODE((tmp_path / DEV_FILE).stat().st_mode) == 0o600
        with served(tmp_path) as server:
            assert server.headers == first

    def test_a_line_of_the_environment_goes_over_its_defaults(self, tmp_path: Path) -> None:
        with served(tmp_path, UTD_PROJECT__APP_ID="mine", UTD_STORE="mine.db") as server:
            assert server.headers["X-App-Id"] == "mine"
        assert (tmp_path / "mine.db").exists()

    def test_nothing_but_the_banner_says_a_credential(self, tmp_path: Path) -> None:
        with served(tmp_path, "--set", "log_level=debug") as server:
            headers = server.headers
            httpx.get(f"{server.address}/api/v1/rooms", headers=headers)
            httpx.get(f"{server.address}/api/v1/rooms", headers={**headers, "X-App-Secret": "a-wrong-secret"})
            assert server.end() == 0
        assert headers["X-App-Secret"] not in str(server.log)
        assert "a-wrong-secret" not in str(server.log)


class TestRefusing:
    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as other:
            port = other.getsockname()[1]
            ran = run(tmp_path, "--dev", "--port", str(port))
        assert ran.returncode == 1
        assert ran.stderr.startswith(f"utd: cannot listen on 127.0.0.1:{port}: ")

    def test_no_project(self, tmp_path: Path) -> None:
        ran = run(tmp_path)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "there is no project" in ran.stderr
        assert "Traceback" not in ran.stderr

    def test_every_wrong_setting_has_a_line(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--dev", "--set", "prot=1", "--set", "drain_timeout=0", UTD_PORT="many")
        assert ran.returncode == 1
        assert len(ran.stderr.splitlines()) == 3
        assert all(line.startswith("utd: ") for line in ran.stderr.splitlines())

    def test_a_store_that_cannot_be_opened(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--dev", "--port", "0", "--store", str(tmp_path / "no" / "such" / "folder.db"))
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert "folder.db" in ran.stderr.splitlines()[-1]

    def test_settings_are_shown_without_secrets(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--dev", "--print-settings", UTD_PROJECT__SECRETS='["planted-secret"]')
        assert ran.returncode == 0
        assert "planted-secret" not in ran.stdout
        assert 'store = ":memory:"' in ran.stdout


class TestListening:
    def test_on_a_unix_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        with served(tmp_path, "--set", f"uds={path}") as server:
            server.wait_for("app id")
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://utd") as client:
                assert client.get("/ready").json()["status"] == "ready"
            assert server.end() == 0
        assert not path.exists()

    def test_a_socket_of_a_server_that_was_killed_is_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "utd.sock"
        for _ in range(2):
            with served(tmp_path, "--set", f"uds={path}") as server:
                server.wait_for("app id")
                assert server.end(signal.SIGKILL) != 0


def test_spans_are_printed_where_that_is_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, "--set", "traces=console") as server:
        httpx.get(f"{server.address}/api/v1/rooms", headers=server.headers)
        assert server.end() == 0
    (line,) = (line for line in server.lines if '"command list_rooms"' in line)
    assert '"service.name": "utd"' in line


class TestDraining:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_with_status_0_and_sends_sockets_elsewhere(self, tmp_path: Path, number: int) -> None:
        with served(tmp_path) as server:
            key = server.wait_for(r"^ +key +(\S+)")[1]
            address = server.address.replace("http", "ws")
            with connect(f"{address}/app/{key}?protocol=7") as web_socket:
                assert "connection_established" in str(web_socket.recv(PATIENCE))
                assert server.end(number) == 0
                with pytest.raises(ConnectionClosed):
                    web_socket.recv(PATIENCE)
                assert web_socket.close_code == 4200

    def test_a_request_under_way_is_answered(self, tmp_path: Path) -> None:
        with served(tmp_path) as server, half_a_request(server) as (connection, rest):
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("ending")
            connection.sendall(rest)
            answer = connection.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"user_token" in answer
            assert server.wait() == 0

    def test_before_that_it_says_that_it_is_not_ready_but_still_works(self, tmp_path: Path) -> None:
        with served(tmp_path, "--set", "drain_delay=600") as server:
            ready = httpx.get(f"{server.address}/ready")
            assert (ready.status_code, ready.headers.get("connection")) == (200, None)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("ending")
            refused = httpx.get(f"{server.address}/ready")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            served_still = httpx.get(f"{server.address}/api/v1/rooms", headers=server.headers)
            # The next request must not be sent on a connection that the end of the server closes in that moment.
            assert (served_still.status_code, served_still.headers["connection"]) == (200, "close")

    def test_a_second_signal_ends_it_at_once(self, tmp_path: Path) -> None:
        with served(tmp_path, "--set", "drain_delay=600") as server:
            server.wait_for("app id")
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("ending")
            assert server.end(signal.SIGINT) == 128 + signal.SIGINT

    def test_whoever_does_not_end_in_time_is_ended(self, tmp_path: Path) -> None:
        with served(tmp_path, "--set", "drain_timeout=0.5") as server, half_a_request(server):
            assert server.end() == 1
            assert "did not end within" in server.output

    def test_what_was_acknowledged_is_there_when_it_comes_back(self, tmp_path: Path) -> None:
        room = {"room": "lobby", "type": "audio_room", "owner": "ann"}
        with served(tmp_path, "--store", "utd.db") as server:
            made = httpx.post(f"{server.address}/api/v1/rooms", json=room, headers=server.headers)
            assert made.status_code == 201
            assert server.end() == 0
        with served(tmp_path, "--store", "utd.db") as server:
            rooms = httpx.get(f"{server.address}/api/v1/rooms", headers=server.headers).json()
            assert re.search("lobby", str(rooms))
