"""Names, signatures, messages, members, paces: the parts that know neither socket nor time."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.broker import Recover
from utd_core.errors import InvalidInput, TooLarge, Unauthenticated
from utd_core.server.pusher import CloseCode, PusherSettings, frames
from utd_core.server.pusher.names import ChannelKind, kind_of
from utd_core.server.pusher.pace import Pace
from utd_core.server.pusher.presence import Member, Members
from utd_core.server.pusher.protocol import (
    ClientEvent,
    ClientMessage,
    Malformed,
    Ping,
    Pong,
    SignIn,
    Subscribe,
    Unsubscribe,
    parse,
)
from utd_core.server.pusher.signatures import channel_text, check_request, request_text, sign

from .world import PROJECT


def read(value: Any) -> ClientMessage:
    text = value if isinstance(value, str) else json.dumps(value)
    return parse(text, message_bytes=65_536, event_bytes=10_240)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("news", ChannelKind.PUBLIC),
            ("a-_=@,.;9", ChannelKind.PUBLIC),
            ("Private-x", ChannelKind.PUBLIC),
            ("private-x", ChannelKind.PRIVATE),
            ("private-rooms", ChannelKind.PRIVATE),
            ("private-encrypted-x", ChannelKind.ENCRYPTED),
            ("presence-x", ChannelKind.PRESENCE),
            ("#server-to-user-x", ChannelKind.SERVER_TO_USER),
            ("private-room.Ünïcode room", ChannelKind.ENGINE),
            ("private-user.ann", ChannelKind.ENGINE),
            ("private-call.1", ChannelKind.CALL),
        ],
    )
    def test_say_what_a_channel_is(self, name: str, kind: ChannelKind) -> None:
        assert kind_of(name) is kind

    @pytest.mark.parametrize(
        "name", ["", "a b", "a/b", "a:b", "ä", "#x", "a\n", "x" * 201, "private-room." + "x" * 200]
    )
    def test_that_are_none_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidInput):
            kind_of(name)

    @pytest.mark.parametrize("name", ["cache-x", "private-cache-x", "presence-cache-x", "private-encrypted-cache-x"])
    def test_of_cache_channels_are_refused_in_words(self, name: str) -> None:
        with pytest.raises(InvalidInput, match="no cache channels"):
            kind_of(name)


class TestMessages:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"event": "pusher:ping", "data": {}}, Ping()),
            ({"event": "pusher:ping"}, Ping()),
            ({"event": "pusher:pong", "data": "x"}, Pong()),
            ({"event": "pusher:subscribe", "data": {"channel": "c"}}, Subscribe("c")),
            ({"event": "pusher:subscribe", "data": '{"channel":"c","auth":"a"}'}, Subscribe("c", "a")),
            (
                {"event": "pusher:subscribe", "data": {"channel": "c", "auth": None, "channel_data": None, "x": 1}},
                Subscribe("c"),
            ),
            (
                {"event": "pusher:subscribe", "data": {"channel": "c", "recover": {"epoch": "e", "offset": 7}}},
                Subscribe("c", recover=Recover("e", 7)),
            ),
            ({"event": "pusher:unsubscribe", "data": {"channel": "c"}}, Unsubscribe("c")),
            ({"event": "pusher:signin", "data": {"auth": "a", "user_data": "u"}}, SignIn("a", "u")),
            ({"event": "pusher:signin", "data": {"token": "t"}}, SignIn(token="t")),
            ({"event": "client-x", "channel": "c", "data": "t"}, ClientEvent("c", "client-x", "t")),
            ({"event": "client-x", "channel": "c"}, ClientEvent("c", "client-x", "{}")),
            ('{"event":"client-x","channel":"c","data":1e999,"id":0}', ClientEvent("c", "client-x", "null", 0)),
        ],
    )
    def test_are_understood(self, value: Any, message: ClientMessage) -> None:
        assert read(value) == message

    @pytest.mark.parametrize(
        "value",
        [
            "", "x", "[]", "7", "null", '"pusher:ping"', "{", '{"event":NaN}', "[" * 60_000, '{"a":' * 5_000, "\x00",
            '{"event":"\\ud800"}', "9" * 60_000, "x" * 65_537, "é" * 32_769, {}, {"event": 7}, {"event": None},
            {"event": "x" * 201}, {"event": "nothing"}, {"event": "pusher:subscribe"},
            {"event": "pusher:subscribe", "data": []}, {"event": "pusher:subscribe", "data": "x"},
            {"event": "pusher:subscribe", "data": {}}, {"event": "pusher:subscribe", "data": {"channel": 7}},
            {"event": "pusher:subscribe", "data": {"channel": "c", "channel_data": {}}},
            {"event": "pusher:subscribe", "data": {"channel": "c", "auth": "x" * 513}},
            {"event": "client-x", "data": 1}, {"event": "client-x", "channel": "c", "id": 1.5},
            {"event": "client-x", "channel": "c", "id": True}, {"event": "client-x", "channel": "c", "id": "x" * 129},
            {"event": "pusher:signin", "data": {"token": 7}},
        ],
    )  # fmt: skip
    def test_that_are_none_are_told_apart(self, value: Any) -> None:
        assert isinstance(read(value), Malformed)

    def test_that_are_malformed_say_whose_they_are(self) -> None:
        found = read({"event": "client-x", "channel": "c", "data": "x" * 20_000, "id": "7"})
        assert isinstance(found, Malformed)
        assert isinstance(found.error, TooLarge)
        assert (found.event, found.channel, found.id) == ("client-x", "c", "7")
        found = read({"event": "pusher:subscribe", "data": {"channel": "c", "recover": 1}})
        assert isinstance(found, Malformed)
        assert (found.event, found.channel) == ("pusher:subscribe", "c")

    @given(st.text())
    def test_of_any_text_never_raise(self, text: str) -> None:
        read(text)

    @settings(max_examples=300)
    @given(
        st.dictionaries(
            st.sampled_from(["event", "channel", "data", "id", "auth"]) | st.text(max_size=5),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
                | st.sampled_from(["pusher:subscribe", "client-a", "pusher:signin", "pusher:ping"]),
                lambda inner: st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["channel", "auth", "recover", "offset"]), inner, max_size=3),
                max_leaves=8,
            ),
        )
    )  # fmt: skip
    def test_of_any_object_never_raise(self, value: dict[str, Any]) -> None:
        read(value)


class TestSignatures:
    def test_are_those_of_the_protocol(self) -> None:
        """The example of the protocol's documentation of signatures, with its key and secret."""
        text = channel_text("1234.1234", "private-foobar")
        assert text == "1234.1234:private-foobar"
        expected = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        assert sign("7ad3773142a6692b25b8", text) == expected
        presence = channel_text("1234.1234", "presence-foobar", '{"user_id":10,"user_info":{"name":"Mr. Channels"}}')
        assert sign("7ad3773142a6692b25b8", presence) == (
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
        )

    NAMES = st.text(":%a3A{", max_size=8)

    @given(NAMES, NAMES, st.none() | NAMES, st.none() | NAMES)
    def test_no_two_channels_sign_alike(
        self, one: str, other: str, one_data: str | None, other_data: str | None
    ) -> None:
        if (one, one_data) != (other, other_data):
            first = channel_text("1.1", f"private-room.{one}", one_data)
            assert first != channel_text("1.1", f"private-room.{other}", other_data)

    def request(self, **changes: Any) -> None:
        """Check a request that is good but for the changes."""
        body: bytes = changes.pop("body", b'{"a":1}')
        query = {
            "auth_key": PROJECT.key,
            "auth_timestamp": "1000",
            "auth_version": "1.0",
            "body_md5": hashlib.md5(body).hexdigest(),
            **changes.pop("query", {}),
        }
        secret = changes.pop("secret", PROJECT.secret)
        query = {name: value for name, value in query.items() if value is not None}
        signed = request_text("POST", "/apps/4711/events", query)
        query["auth_signature"] = changes.pop(
            "signature", hmac.new(secret.encode(), signed.encode(), "sha256").hexdigest()
        )
        pairs = [*query.items(), *changes.pop("more", [])]
        check_request(
            PROJECT,
            changes.pop("method", "POST"),
            changes.pop("path", "/apps/4711/events"),
            pairs,
            changes.pop("sent", body),
            changes.pop("now", 1000.0),
            600.0,
        )
        assert not changes

    def test_of_a_request_that_is_good_is_taken(self) -> None:
        self.request()
        self.request(secret=PROJECT.secrets[1])
        self.request(now=1_600.0)
        self.request(now=400.0)
        self.request(query={"filter_by_prefix": "presence-", "info": "user_count"})
        self.request(body=b"", query={"body_md5": None})

    @pytest.mark.parametrize(
        "changes",
        [
            {"secret": "another"},
            {"signature": ""},
            {"signature": "0" * 64},
            {"signature": "é" * 64},
            {"method": "GET"},
            {"path": "/apps/4712/events"},
            {"path": "/apps/4711/batch_events"},
            {"sent": b'{"a":2}'},
            {"sent": b""},
            {"now": 1_601.0},
            {"now": 399.0},
            {"query": {"auth_key": "other"}},
            {"query": {"auth_key": None}},
            {"query": {"auth_version": "2.0"}},
            {"query": {"auth_version": None}},
            {"query": {"auth_timestamp": None}},
            {"query": {"auth_timestamp": "1e3"}},
            {"query": {"auth_timestamp": "-1000"}},
            {"query": {"auth_timestamp": "٣"}},
            {"query": {"auth_timestamp": "9" * 400}},
            {"query": {"body_md5": None}},
            {"query": {"body_md5": ""}},
            {"more": [("info", "user_count")]},
            {"more": [("auth_key", "key")]},
            {"more": [("AUTH_KEY", "key")]},
        ],
    )
    def test_of_a_request_that_is_not_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(Unauthenticated):
            self.request(**changes)

    def test_of_requests_do_not_name_the_secret_in_what_they_raise(self) -> None:
        with pytest.raises(Unauthenticated) as raised:
            self.request(secret="another")
        assert PROJECT.secret not in str(raised.value)

    def test_the_query_is_signed_decoded(self) -> None:
        assert request_text("get", "/p", dict(parse_qsl("b=%C3%A9&a=1,2"))) == "GET\n/p\na=1,2&b=é"


class TestMembers:
    def test_first_and_last_are_told(self) -> None:
        members = Members()
        assert members.join(Member("ann", 1)) is True
        assert members.join(Member("ann", 2)) is False
        assert members.as_data() == '{"presence":{"count":1,"ids":["ann"],"hash":{"ann":1}}}'
        assert members.leave("ann") is False
        assert members.leave("ann") is True
        assert members.leave("ann") is False
        assert len(members) == 0

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"))))
    def test_a_user_is_there_as_long_as_one_connection_is(self, steps: list[tuple[bool, str]]) -> None:
        members, counts = Members(), dict.fromkeys("abc", 0)
        for joins, user in steps:
            if joins:
                assert members.join(Member(user)) is (counts[user] == 0)
                counts[user] += 1
            else:
                assert members.leave(user) is (counts[user] == 1)
                counts[user] = max(0, counts[user] - 1)
            assert set(members) == {user for user, count in counts.items() if count}


class TestPace:
    def test_lets_a_burst_through_and_then_the_rate(self) -> None:
        pace = Pace(rate=2.0, burst=3, now=10.0)
        assert [pace.take(10.0) for _ in range(4)] == [True, True, True, False]
        assert [pace.take(10.5), pace.take(10.5)] == [True, False]
        assert [pace.take(100.0) for _ in range(4)] == [True, True, True, False]


class TestFrames:
    def test_a_refusal_names_its_kind_and_code(self) -> None:
        data = json.loads(json.loads(frames.subscription_error("c", InvalidInput("bad")).text)["data"])
        assert data == {"type": "InvalidInput", "error": "bad", "status": 422, "code": "invalid_input"}

    def test_infinite_numbers_do_not_break_the_json(self) -> None:
        assert json.loads(frames.json_text({"a": float("inf"), "b": float("nan")})) == {"a": None, "b": None}


class TestSettings:
    @pytest.mark.parametrize(
        "setting", [{"queue_frames": 0}, {"activity_timeout": -1}, {"event_bytes": "1"}, {"linger": True}]
    )
    def test_that_make_no_sense_are_refused(self, setting: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            PusherSettings(**setting)


def test_close_codes_say_what_they_mean() -> None:
    """The reference page has each with its number."""
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs/reference/websocket.md").read_text(encoding="utf-8")
    for code in CloseCode:
        assert f"| {code.value} |" in page, code


def test_a_project_with_other_secrets_signs_otherwise() -> None:
    assert sign(PROJECT.secret, "x") != sign(replace(PROJECT, secrets=("y",)).secret, "x")
