"""How an application finds out that a delivery is real."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.errors import InvalidInput, Unauthenticated
from utd_core.server.webhooks import Delivery, WebhookEndpoint, WebhookSettings, sign, verify
from utd_core.server.webhooks.sender import body_of
from utd_core.store.outbox import Outgoing, Parcel

from .world import SECRET, URL, an_endpoint

NOW = 1_700_000_000.0
TOLD: dict[str, Any] = {
    "id": "e1",
    "type": "room_ended",
    "app_id": "shop",
    "sequence": 3,
    "epoch": "abc",
    "at": NOW - 1,
    "room": "lobby",
    "data": {"by": "ann"},
}


TIMELESS = json.dumps({**TOLD, "sent_at": "now", "attempt": 1}).encode()


def a_body(now: float = NOW, tries: int = 0) -> bytes:
    told = Outgoing("hook", "room", "lobby", "e1", "room_ended", NOW - 1, json.dumps(TOLD).encode())
    return body_of(Parcel(1, told, tries, NOW, NOW + 20), now)


def test_a_delivery_says_what_happened_and_which_try_it_is() -> None:
    body = a_body(tries=2)
    assert verify(body, sign(body, SECRET), SECRET, now=NOW) == Delivery(**TOLD, sent_at=NOW, attempt=3, call=None)


def test_the_signature_is_what_the_header_promises() -> None:
    body = a_body()
    assert sign(body, SECRET) == f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"


class TestWhatIsRefused:
    @pytest.mark.parametrize("signature", [None, "", "sha256=", "sha256=00", "é", sign(a_body(), SECRET)[7:]])
    def test_a_signature_that_is_none(self, signature: str | None) -> None:
        with pytest.raises(Unauthenticated, match="not signed"):
            verify(a_body(), signature, SECRET, now=NOW)

    def test_one_with_another_secret(self) -> None:
        with pytest.raises(Unauthenticated, match="not signed"):
            verify(a_body(), sign(a_body(), "another-secret-of-somebody"), SECRET, now=NOW)

    @given(st.data())
    def test_any_change_of_the_body(self, data: st.DataObject) -> None:
        body = a_body()
        at = data.draw(st.integers(0, len(body) - 1))
        changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
        with pytest.raises(Unauthenticated):
            verify(changed, sign(body, SECRET), SECRET, now=NOW)

    @pytest.mark.parametrize("off", [301, -301, 86_400])
    def test_one_that_was_recorded_and_is_sent_again_later(self, off: float) -> None:
        body = a_body()
        with pytest.raises(Unauthenticated, match="too long ago"):
            verify(body, sign(body, SECRET), SECRET, now=NOW + off)
        assert verify(body, sign(body, SECRET), SECRET, now=NOW + off, tolerance=abs(off)).id == "e1"

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"null", b"{}", b"\xff", b'{"id": 1}', b'{"sent_at": 1, "more": 2}', TIMELESS]
    )
    def test_what_is_signed_but_no_delivery(self, body: bytes) -> None:
        with pytest.raises(Unauthenticated):
            verify(body, sign(body, SECRET), SECRET, now=NOW)


def test_what_a_newer_server_says_beside_that_is_left_out() -> None:
    body = a_body()[:-1] + b',"region":"eu"}'
    assert verify(body, sign(body, SECRET), SECRET, now=NOW) == verify(
        a_body(), sign(a_body(), SECRET), SECRET, now=NOW
    )


def test_either_secret_is_good_while_one_is_changed() -> None:
    body = a_body()
    for secret in ("old-secret-of-the-endpoint", "new-secret-of-the-endpoint"):
        known = ["new-secret-of-the-endpoint", "old-secret-of-the-endpoint"]
        assert verify(body, sign(body, secret), known, now=NOW).id == "e1"


def test_both_secrets_sign_while_one_is_changed_so_that_knowing_either_is_enough() -> None:
    body, old, new = a_body(), "old-secret-of-the-endpoint", "new-secret-of-the-endpoint"
    header = sign(body, [new, old])
    assert header == f"{sign(body, new)},{sign(body, old)}"
    for known in (old, new, [old, new]):
        assert verify(body, header, known, now=NOW).id == "e1"
    assert verify(body, header.replace(",", ", "), old, now=NOW).id == "e1", "as some servers join values"
    with pytest.raises(Unauthenticated):
        verify(body, header, "another-secret-of-somebody", now=NOW)


def test_a_header_of_many_guesses_is_not_looked_at_further() -> None:
    body = a_body()
    with pytest.raises(Unauthenticated):
        verify(body, ",".join([*["sha256=00"] * 100, sign(body, SECRET)]), SECRET, now=NOW)


class TestEndpoints:
    @pytest.mark.parametrize(
        "fields",
        [
            {"name": ""},
            {"name": "a b"},
            {"url": "shop.example.com"},
            {"url": "ftp://shop.example.com"},
            {"url": "https://"},
            {"url": "https://user:pass@shop.example.com"},
            {"url": "https://shop.example.com/#part"},
            {"url": "https://shop.example.com:0/"},
            {"url": "https://shop.example.com:99999/"},
            {"url": "https://[::1/"},
            {"url": "https://shop.example.com/\n"},
            {"url": "https://shop example.com/"},
            {"url": "https://" + "a" * 3_000},
            {"secrets": ()},
            {"secrets": ("short",)},
            {"secrets": ("a" * 16, "b" * 16, "c" * 16)},
            {"types": ("no_such_event",)},
            {"types": ("room_",)},
        ],
    )
    def test_that_are_none_are_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="webhook"):
            an_endpoint(**{"name": "hook", **fields})

    def test_do_not_show_their_secrets(self) -> None:
        shown = repr(WebhookEndpoint("hook", f"{URL}?token=planted-token", (SECRET,)))
        assert SECRET not in shown
        assert "planted-token" not in shown, "a URL may hold one"

    def test_want_everything_or_what_they_say(self) -> None:
        assert an_endpoint().wants("room_ended")
        some = an_endpoint(types=("room_*", "ban_made"))
        assert some.wants("room_ended")
        assert some.wants("ban_made")
        assert not some.wants("ban_lifted")


@pytest.mark.parametrize("fields", [{"timeout": 0}, {"concurrency": -1}, {"flush_timeout": True}, {"keep_dead": "a"}])
def test_settings_are_numbers_above_zero(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(fields))):
        WebhookSettings(**fields)
