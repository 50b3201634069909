"""Bytes on a real connection: what no well-behaved client sends, and what well-behaved ones do in a hurry."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from utd_core.errors import ErrorCode

from .served import Served
from .world import API

SECRET = "X-App-Id: alpha\r\nX-App-Secret: secret-of-alpha\r\n"
ROOMS = f"{API}/rooms"


@dataclass
class Wire:
    """A connection, on which bytes are written and answers read."""

    socket: socket.socket

    def write(self, text: str, body: bytes = b"") -> None:
        self.socket.sendall(text.encode("latin-1") + body)

    def read(self, method: str = "GET") -> tuple[HTTPResponse, Any]:
        """The next answer, and its JSON."""
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        content = response.read()
        return response, json.loads(content) if content else None

    def is_closed(self) -> bool:
        """Whether the server ends the connection, and has nothing more to say."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@contextmanager
def wire(served: Served) -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as opened:
        yield Wire(opened)


def head(verb: str, path: str, *headers: str) -> str:
    return "\r\n".join([f"{verb} {path} HTTP/1.1", "Host: x", *headers]) + "\r\n" + SECRET + "\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def is_alive(served: Served) -> bool:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/health")
    alive = connection.getresponse().status == 200
    connection.close()
    return alive


class TestBodies:
    def test_in_chunks_are_read_like_any(self, served: Served) -> None:
        with wire(served) as open_wire:
            open_wire.write(head("POST", ROOMS, "Content-Type: application/json", "Transfer-Encoding: chunked"))
            for part in (b'{"room": "chu', b'nked", ', b'"type": "audio_room"}', b""):
                open_wire.write("", chunk(part))
            response, body = open_wire.read()
            assert response.status == 201
            assert body["room"]["name"] == "chunked"

    def test_without_end_are_cut_off(self, served: Served) -> None:
        with wire(served) as open_wire:
            open_wire.write(head("POST", ROOMS, "Content-Type: application/json", "Transfer-Encoding: chunked"))
            for _ in range(10):
                open_wire.write("", chunk(b" " * 32_768))
            response, body = open_wire.read()
            assert (response.status, body["code"]) == (413, ErrorCode.TOO_LARGE)
            assert open_wire.is_closed()

    def test_that_announce_too_much_are_refused_before_they_are_sent(self, served: Served) -> None:
        with wire(served) as open_wire:
            announced = ("Content-Type: application/json", "Content-Length: 5000000000", "Expect: 100-continue")
            open_wire.write(head("POST", ROOMS, *announced))
            response, body = open_wire.read()
            assert (response.status, body["code"]) == (413, ErrorCode.TOO_LARGE)

    def test_are_asked_for_where_the_client_waits_for_that(self, served: Served) -> None:
        content = b'{"room": "waited-for", "type": "audio_room"}'
        with wire(served) as open_wire:
            announced = ("Content-Type: application/json", f"Content-Length: {len(content)}", "Expect: 100-continue")
            open_wire.write(head("POST", ROOMS, *announced))
            assert open_wire.socket.recv(64).startswith(b"HTTP/1.1 100 ")
            open_wire.write("", content)
            assert open_wire.read()[0].status == 201

    def test_that_are_refused_unread_leave_the_connection_as_it_was(self, served: Served) -> None:
        with wire(served) as open_wire:
            for _ in range(3):
                open_wire.write(head("POST", "/nothing", "Content-Length: 60000"), b"x" * 60_000)
                response, body = open_wire.read()
                assert (response.status, body["code"]) == (404, ErrorCode.ROUTE_NOT_FOUND)
            open_wire.write(head("GET", ROOMS))
            assert open_wire.read()[0].status == 200

    def test_that_stop_half_way_harm_nobody(self, served: Served) -> None:
        for _ in range(20):
            with wire(served) as open_wire:
                open_wire.write(head("POST", ROOMS, "Content-Type: application/json", "Content-Length: 100"), b"{")
        assert is_alive(served)


class TestConnections:
    def test_carry_one_request_after_the_other(self, served: Served) -> None:
        with wire(served) as open_wire:
            for _ in range(50):
                open_wire.write(head("GET", ROOMS))
                assert open_wire.read()[0].status == 200

    def test_carry_requests_that_do_not_wait_for_each_other(self, served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as opened:
            opened.sendall("".join(head("GET", f"{ROOMS}/none-{n}", f"X-Request-Id: r{n}") for n in range(10)).encode())
            received = b""
            while received.count(b"room_not_found") < 10:
                received += opened.recv(65_536)
        ids = [line for line in received.decode().splitlines() if line.startswith("x-request-id")]
        assert ids == [f"x-request-id: r{n}" for n in range(10)]

    def test_of_a_head_have_no_body(self, served: Served) -> None:
        with wire(served) as open_wire:
            open_wire.write(head("HEAD", ROOMS))
            response, _ = open_wire.read("HEAD")
            assert response.status == 200
            assert int(response.headers["content-length"]) > 0
            open_wire.write(head("GET", "/health"))
            assert open_wire.read()[1] == {"status": "ok"}

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
        ],
        ids=lambda sent: repr(sent[:32]),
    )
    def test_with_no_http_on_them_harm_nobody(self, served: Served, sent: bytes) -> None:
        with wire(served) as open_wire:
            open_wire.write("", sent)
            open_wire.socket.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while data := open_wire.socket.recv(65_536):
                    received += data
            except ConnectionResetError:
                pass
        assert not received.startswith(b"HTTP/1.1 5")
        assert is_alive(served)


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            (f"{ROOMS}/a%2Fb", 404),
            (f"{ROOMS}/%2e%2e", 404),
            (f"{ROOMS}/..", 404),
            (f"{ROOMS}/%00", 422),
            (f"{ROOMS}/%ff", 404),
            (f"{ROOMS}/%", 404),
            (f"{ROOMS}?limit=%00", 422),
            ("http://other.example.com/health", 200),
            ("*", 404),
        ],
    )
    def test_are_taken_as_they_come(self, served: Served, path: str, status: int) -> None:
        with wire(served) as open_wire:
            open_wire.write(head("GET", path))
            response, body = open_wire.read()
            assert response.status == status, body
