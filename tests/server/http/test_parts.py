"""The parts of the HTTP layer, each alone: paths, routes, fields, proxies, addresses."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import InvalidInput
from utd_core.model.results import UserSession
from utd_core.model.roles import Role
from utd_core.server.http.addresses import Addresses
from utd_core.server.http.bindings import reader
from utd_core.server.http.routes import Routes
from utd_core.server.paths import path_of, root_of, segments_of
from utd_core.server.proxies import TrustedProxies, is_host
from utd_core.server.sites import site_of


def a_scope(path: str, raw_path: bytes | None = None, root_path: str = "", **more: Any) -> dict[str, Any]:
    scope: dict[str, Any] = {"type": "http", "path": path, "root_path": root_path, "headers": [], "scheme": "http"}
    if raw_path is not None:
        scope["raw_path"] = raw_path
    return {**scope, **more}


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "root", "below"),
        [
            ("/a/b", "", "/a/b"),
            ("/a/b", "/a", "/b"),
            ("/a/b", "/a/", "/b"),
            ("/a", "/a", "/"),
            ("/ab", "/a", "/ab"),
            ("/b", "/a", "/b"),
            ("", "", "/"),
        ],
    )
    def test_below_a_mount(self, path: str, root: str, below: str) -> None:
        scope = a_scope(path, root_path=root)
        assert path_of(scope) == below
        assert root_of(scope) in ("", "/a")

    @pytest.mark.parametrize(
        ("path", "raw", "root", "segments"),
        [
            ("/a/b", b"/a/b", "", ["a", "b"]),
            ("/a/b/c", b"/a%2Fb/c", "", ["a/b", "c"]),
            ("/m/a/b", b"/m/a%2fb", "/m", ["a/b"]),
            ("/m/n/a/b", b"/m/n/a%2fb", "/m/n", ["a/b"]),
            ("/a/b", b"/a%2fb", "/m", ["a/b"]),
            ("/m", b"/m", "/m", []),
            ("/a b", b"/a%20b?x=/y", "", ["a b"]),
            ("/ä", "/ä".encode(), "", None),
            ("/\ufffd", b"/%FF", "", None),
            ("/ä/b", b"/%C3%A4/b", "", ["ä", "b"]),
            ("/ä b", None, "", ["ä b"]),
            ("/%", b"/%", "", ["%"]),
            ("/a//b/", b"/a//b/", "", ["a", "", "b", ""]),
        ],
    )
    def test_are_cut_before_they_are_decoded(
        self, path: str, raw: bytes | None, root: str, segments: list[str] | None
    ) -> None:
        assert segments_of(a_scope(path, raw, root)) == segments


class TestRoutes:
    @pytest.fixture
    def routes(self) -> Routes[str]:
        routes: Routes[str] = Routes()
        routes.add("GET", "/rooms", "list")
        routes.add("POST", "/rooms", "create")
        routes.add("GET", "/rooms/{room}", "get")
        routes.add("POST", "/rooms/{room}/seats/{index}/take", "take")
        routes.add("POST", "/rooms/{room}/seats/leave", "leave")
        return routes

    def test_lead_to_what_was_added(self, routes: Routes[str]) -> None:
        found = routes.find(["rooms", "lobby", "seats", "3", "take"])
        assert found is not None
        assert found.by_method == {"POST": "take"}
        assert found.values == {"room": "lobby", "index": "3"}
        assert found.template == "/rooms/{room}/seats/{index}/take"

    def test_know_every_method_of_a_path(self, routes: Routes[str]) -> None:
        found = routes.find(["rooms"])
        assert found is not None
        assert set(found.by_method) == {"GET", "POST"}

    def test_prefer_a_word_to_a_name(self, routes: Routes[str]) -> None:
        found = routes.find(["rooms", "lobby", "seats", "leave"])
        assert found is not None
        assert found.by_method == {"POST": "leave"}
        assert found.values == {"room": "lobby"}

    @pytest.mark.parametrize(
        "segments",
        [[], [""], ["rooms", ""], ["rooms", "lobby", "seats"], ["rooms", "a", "seats", "3", "take", "x"], ["x"]],
    )
    def test_lead_nowhere_else(self, routes: Routes[str], segments: list[str]) -> None:
        assert routes.find(segments) is None

    @pytest.mark.parametrize("template", ["/rooms/{room}", "/rooms/{name}"])
    def test_do_not_hide_each_other(self, routes: Routes[str], template: str) -> None:
        with pytest.raises(ValueError, match="stands there already"):
            routes.add("GET", template, "other")


class TestTextOfFields:
    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            (int, "7", 7),
            (int, "-7", -7),
            (int, "0", 0),
            (int | None, "7", 7),
            (int | Literal["any"], "7", 7),
            (int | Literal["any"], "any", "any"),
            (float, "7", 7.0),
            (float | None, "1.5e3", 1_500.0),
            (bool, "true", True),
            (bool | None, "false", False),
            (str, "7", "7"),
            (str | None, "true", "true"),
            (Role, "host", "host"),
            (Role | None, "7", "7"),
        ],
    )
    def test_becomes_what_the_field_is(self, kind: Any, text: str, value: Any) -> None:
        read = reader(kind)(text)
        assert read == value
        assert type(read) is type(value)

    @pytest.mark.parametrize("kind", [int, float, bool])
    @pytest.mark.parametrize(
        "text",
        ["", " 1", "1 ", "+1", "01", "1_0", "0x1", "١", "inf", "nan", "True", "yes", "1e9999", "9" * 5_000, "--1"],
    )
    def test_that_is_not_quite_that_stays_text(self, kind: Any, text: str) -> None:
        assert reader(kind)(text) == text

    @given(st.integers(-(10**17), 10**17))
    def test_of_a_number_is_that_number(self, number: int) -> None:
        assert reader(int)(str(number)) == number
        assert reader(float)(str(number)) == float(number)


class TestSites:
    @pytest.mark.parametrize(
        ("address", "site"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("2600:1f18:1:2:3:4:5:6", "2600:1f18:1:2::/64"),
            ("2600:1f18:1:2:ffff::1", "2600:1f18:1:2::/64"),
            ("2600:1f18:1:3::1", "2600:1f18:1:3::/64"),
            ("::1", "::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("", ""),
            ("testclient", "testclient"),
        ],
    )
    def test_are_what_one_subscriber_has(self, address: str, site: str) -> None:
        assert site_of(address) == site


class TestProxies:
    def seen(self, networks: list[str], client: str | None, **headers: str) -> dict[str, Any]:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = a_scope("/", headers=[(b"host", b"inside"), *raw], client=(client, 1) if client else None)
        seen = dict(TrustedProxies(networks).seen_through(scope))
        return {
            "client": seen["client"] and seen["client"][0],
            "scheme": seen["scheme"],
            "host": dict(seen["headers"])[b"host"].decode(),
        }

    def test_that_are_trusted_say_who_the_client_is(self) -> None:
        seen = self.seen(
            ["10.0.0.0/8"],
            "10.1.2.3",
            x_forwarded_for="203.0.113.9",
            x_forwarded_proto="https",
            x_forwarded_host="rtc.example.com",
        )
        assert seen == {"client": "203.0.113.9", "scheme": "https", "host": "rtc.example.com"}

    @pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"], ["unix"]])
    def test_that_are_not_say_nothing(self, networks: list[str]) -> None:
        seen = self.seen(
            networks,
            "192.0.2.1",
            x_forwarded_for="203.0.113.9",
            x_forwarded_proto="https",
            x_forwarded_host="evil.example.com",
        )
        assert seen == {"client": "192.0.2.1", "scheme": "http", "host": "inside"}

    @pytest.mark.parametrize(
        ("forwarded", "client"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
            ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("nonsense, 203.0.113.9", "203.0.113.9"),
            ("203.0.113.9, nonsense", "10.0.0.1"),
            ("", "10.0.0.1"),
        ],
    )
    def test_of_proxies_are_walked_back_to_the_first_stranger(self, forwarded: str, client: str) -> None:
        assert self.seen(["10.0.0.0/8"], "10.0.0.1", x_forwarded_for=forwarded)["client"] == client

    def test_on_a_unix_socket_have_no_address(self) -> None:
        assert self.seen(["unix"], None, x_forwarded_for="203.0.113.9")["client"] == "203.0.113.9"
        assert self.seen(["10.0.0.0/8"], None, x_forwarded_for="203.0.113.9")["client"] is None

    def test_with_a_mapped_address_are_those_of_the_plain_one(self) -> None:
        assert self.seen(["10.0.0.0/8"], "::ffff:10.0.0.1", x_forwarded_proto="https")["scheme"] == "https"

    @pytest.mark.parametrize(
        "host", ["", "a b", "a/b", "a@b", "a\\b", "evil.com/x?", "-a", "a:b", "a:123456", "x" * 300]
    )
    def test_that_name_no_host_are_not_believed(self, host: str) -> None:
        assert not is_host(host)
        assert self.seen(["10.0.0.0/8"], "10.0.0.1", x_forwarded_host=host)["host"] == "inside"

    @pytest.mark.parametrize("host", ["a", "localhost:8080", "rtc.example.com", "[::1]:8080", "127.0.0.1", "a_b.local"])
    def test_that_name_a_host_are(self, host: str) -> None:
        assert is_host(host)

    @pytest.mark.parametrize("network", ["", "everybody", "10.0.0.1/8", "10.0.0.0/99"])
    def test_that_are_no_networks_are_refused(self, network: str) -> None:
        with pytest.raises(InvalidInput, match="trusted proxy"):
            TrustedProxies([network])

    def test_of_a_socket_are_secure_sockets(self) -> None:
        scope = a_scope(
            "/", type="websocket", scheme="ws", client=("10.0.0.1", 1), headers=[(b"x-forwarded-proto", b"https")]
        )
        assert TrustedProxies(["10.0.0.1"]).seen_through(scope)["scheme"] == "wss"


class TestAddresses:
    def address(self, public_url: str | None = None, **scope: Any) -> str | None:
        session = UserSession("ann", "token", 1.0)
        found = Addresses(public_url).with_events(session, a_scope("/api", **scope), "a/key")
        assert isinstance(found, UserSession)
        return found.ws_url

    def test_are_where_the_request_came_to(self) -> None:
        assert self.address(headers=[(b"host", b"rtc.example.com")]) == "ws://rtc.example.com/app/a%2Fkey"
        assert self.address(headers=[(b"host", b"[::1]:80")], scheme="https") == "wss://[::1]:80/app/a%2Fkey"
        below = self.address(headers=[(b"host", b"x")], root_path="/api")
        assert below == "ws://x/api/app/a%2Fkey"

    @pytest.mark.parametrize("headers", [[], [(b"host", b"evil.com/?")]])
    def test_are_the_servers_own_where_nobody_says(self, headers: list[tuple[bytes, bytes]]) -> None:
        assert self.address(headers=headers, server=("127.0.0.1", 80)) == "ws://127.0.0.1:80/app/a%2Fkey"
        assert self.address(headers=headers) == "ws://localhost/app/a%2Fkey"

    def test_are_the_public_ones_where_they_are_given(self) -> None:
        headers = [(b"host", b"inside")]
        assert self.address("https://rtc.example.com/x/", headers=headers) == "wss://rtc.example.com/x/app/a%2Fkey"

    @pytest.mark.parametrize("url", ["", "rtc.example.com", "ftp://x", "https://", "https://a b", "wss://x"])
    def test_that_are_none_are_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="public URL"):
            Addresses(url)
