"""What client and server must agree on: each command is the same on both sides, each refusal too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from utd_core.client.remote.protocol import QUERY, Other, error_of_close, read, socket_url
from utd_core.errors import EXCEPTION_OF, Conflict, ErrorCode, Forbidden, Unavailable, UTDStreamException
from utd_core.model.command import COMMANDS, Command
from utd_core.model.wire import PREFIX, channel_of, error_of, place_text, read_place, request_of
from utd_core.server.http.bindings import Binding
from utd_core.server.http.bodies import parse_object
from utd_core.server.http.routes import Routes
from utd_core.server.paths import segments_of

FIELDS: dict[str, Any] = {
    "allowed": False, "as_host": True, "audio": True, "backstage": False, "block": True, "callee": "b/c",
    "callee_name": "Bö", "capability": "mute", "cursor": "17", "device_id": "phone", "duplicate_identity": "many",
    "duration": 1.5, "empty_timeout": 3.25, "first": 1, "host_left_grace": 2.0, "identity": "..", "index": 3,
    "kind": "speak", "limit": 7, "max_duration": 9.0, "max_participants": 5,
    "metadata": {"a": [1, None, "ü", {"b": 0.5}]}, "mode_id": "m", "name": "Änn", "owner": "o", "phase": "live",
    "reason": "because / of ?", "request_timeout": 4.0, "revision": 2, "ring_timeout": 6.5, "role": "admin",
    "room": "a/b c%#?ä🎙", "seat_count": 4, "seat_index": 2, "seat_mode": "request", "seat_video": True, "second": 2,
    "take": False, "to": "x", "type": "audio_room", "video": True,
}  # fmt: skip


def commands() -> list[Command]:
    """Each command with every field, and with those alone that it needs."""
    made: list[Command] = []
    for command in COMMANDS.values():
        own = {
            name: (17 if field.annotation is int else "17") if name == "id" else FIELDS[name]
            for name, field in command.model_fields.items()
        }
        needed = {name: own[name] for name, field in command.model_fields.items() if field.is_required()}
        made += [command.parse(own), command.parse(needed)]
    return made


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.spec.name)
def test_a_command_is_the_same_on_both_sides(command: Command) -> None:
    routes: Routes[type[Command]] = Routes()
    for each in COMMANDS.values():
        routes.add(each.spec.verb, PREFIX + each.spec.path, each)
    request = request_of(command)
    parts = urlsplit(request.target)
    segments = segments_of({"path": parts.path, "raw_path": parts.path.encode(), "root_path": ""})
    assert segments is not None
    found = routes.find(segments)
    assert found is not None
    assert found.by_method[request.method] is type(command)
    body = {} if request.body is None else parse_object(request.body, 32, 1_000)
    bound = Binding(type(command)).bind(found.values, parts.query.encode(), body)
    assert bound == command
    # What stands in the path is always there.
    assert bound.model_fields_set == command.model_fields_set | set(found.values)


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - {ErrorCode.CLOSED}))
def test_a_refusal_is_raised_as_what_it_was(code: ErrorCode) -> None:
    error = error_of(418, code, "words", {"a": 1})
    assert type(error) is EXCEPTION_OF[code]
    assert (error.code, error.status_code, error.message, error.details) == (code, 418, "words", {"a": 1})


def test_an_engine_that_is_closed_is_one_that_may_come_back() -> None:
    assert type(error_of(409, "closed", "words")) is Unavailable


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (409, Conflict), (503, Unavailable), (418, None)])
def test_a_code_of_a_later_version_is_raised_by_its_status(status: int, kind: type[UTDStreamException] | None) -> None:
    error = error_of(status, "of_tomorrow", "words")
    assert (error.code, error.status_code) == ("of_tomorrow", status)
    assert kind is None or type(error) is kind


def test_a_place_is_read_as_it_was_written() -> None:
    assert read_place(place_text("e/f", 12)) == ("e/f", 12)
    for text in ("", "x", "/", "e/-1", "e/²", "e/1.5", "e/" + "9" * 30):
        assert read_place(text) is None


def test_every_command_of_a_room_or_call_names_its_channel() -> None:
    for command in commands():
        channel = channel_of(command)
        if getattr(command, "room", None) is not None:
            assert channel == f"private-room.{FIELDS['room']}"
        elif command.spec.path.startswith("/calls/"):
            assert channel == "private-call.17"
        else:
            assert channel is None


@pytest.mark.parametrize(
    ("said", "base", "url"),
    [
        (None, "http://h:1/base", "ws://h:1/base/app/k%2F"),
        (None, "https://h", "wss://h/app/k%2F"),
        ("ws://events/app/k", "http://h", "ws://events/app/k"),
        ("ws://events/app/k", "https://h", "wss://events/app/k"),
        ("wss://events/app/k", "http://h", "wss://events/app/k"),
    ],
)
def test_the_token_goes_nowhere_in_the_clear_where_requests_are_encrypted(
    said: str | None, base: str, url: str
) -> None:
    assert socket_url(said, base, "k/") == f"{url}?{QUERY}"


@pytest.mark.parametrize("text", ["", "<html>", "[]", "1", '"x"', "{}", '{"event": 5}', '{"event": null}', "{" * 500])
def test_what_is_no_message_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Unavailable):
        read(text)


def test_messages_of_a_later_version_are_passed_over() -> None:
    assert isinstance(read('{"event": "utd:news", "data": {"x": 1}}'), Other)
    assert isinstance(read('{"event": "client-typing", "channel": "private-x", "data": "{}"}'), Other)


def test_only_the_codes_that_say_so_are_final() -> None:
    assert [code for code in range(1000, 5000) if error_of_close(code, "") is not None] == list(range(4000, 4100))
