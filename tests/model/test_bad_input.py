"""Everything that is malformed is one typed error that says what to do; what was to be changed is unchanged.

Each field of each command is tried with everything that its kind refuses: through the constructor, as a mapping and as
JSON. What is well formed but impossible (an ended room, an unknown request, ...) stands in `test_impossible.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from utd_core.errors import ErrorCode, InvalidInput, TooLarge, UTDStreamException
from utd_core.model.command import Command
from utd_core.model.commands import (
    COMMANDS,
    CreateRoom,
    StartCall,
    TakeSeat,
    UpdateMetadata,
)
from utd_core.model.identifiers import MAX_METADATA_BYTES

from .rulebook import rule
from .world import LOUNGE

Bad = dict[str, tuple[Any, str]]
"""What is tried, by what it shows: (value, code)."""

NOT_A_STRING: dict[str, Any] = {"number": 7, "none": None, "bytes": b"ann", "list": ["ann"], "object": {"a": 1}}
UNPRINTABLE = {
    "nul": "a\x00b",
    "line_break": "a\nb",
    "tab": "a\tb",
    "delete": "a\x7fb",
    "escape": "\x1b[31mred",
    "right_to_left": "a\u202eb",
    "isolate": "a\u2066b",
    "zero_width_space": "a\u200bb",
    "byte_order_mark": "\ufeffab",
    "soft_hyphen": "a\u00adb",
    "line_separator": "a\u2028b",
    "lone_surrogate": "a\ud800b",
    "private_use": "a\ue000b",
}


def names(code: str) -> Bad:
    wrong = {
        **NOT_A_STRING,
        **UNPRINTABLE,
        "empty": "",
        "blank": " ",
        "outer_blank": "ann ",
        "oversized": "x" * 129,
        "huge": "x" * 1_000_000,
        "reserved": "$server",
        "joiner_in_ascii": "al\u200dice",
        "only_a_joiner": "\u200d",
        "filler": "\u3164",
        "variation_of_nothing": "a\ufe0f",
        "ideographic_variation_of_nothing": "a\U000e0100",
        "mongolian_variation_of_nothing": "a\u180b",
        "decomposed": "e\u0301",
    }
    return {shows: (value, code) for shows, value in wrong.items()}


def invalid(**wrong: Any) -> Bad:
    return {shows: (value, "invalid_input") for shows, value in wrong.items()}


def texts(most: int) -> Bad:
    return invalid(**NOT_A_STRING, **UNPRINTABLE, oversized="x" * (most + 1))


def seconds(low: float, high: float) -> Bad:
    return invalid(
        zero=0,
        negative=-1,
        not_a_number=float("nan"),
        infinite=float("inf"),
        below=low,
        above=high,
        huge=1e300,
        too_huge=10**400,
        flag=True,
        string="30",
        list=[30],
    )


NUMBERS = {"flag": True, "fraction": 1.5, "whole_float": 1.0, "string": "1", "list": [1], "object": {}}
SEAT: Bad = {
    **invalid(**NUMBERS),
    "negative": (-1, "seat_out_of_range"),
    "one_too_many": (100, "seat_out_of_range"),
    "huge": (10**30, "seat_out_of_range"),
    "unprintably_huge": (10**5_000, "seat_out_of_range"),
    "not_a_number": (float("nan"), "invalid_input"),
}
COUNT = invalid(**NUMBERS, none_at_all=0, negative=-1, one_too_many=101, huge=10**30)
FLAG = invalid(number=1, string="true", list=[True])
WORD = invalid(unknown="polka", empty="", number=1, flag=True, list=["polka"])
ID = invalid(empty="", oversized="x" * 65, number=7, lone_surrogate="\ud800", list=["x"])
DEEP: dict[str, Any] = {}
DEEP_TUPLE: tuple[Any, ...] = ()
for _ in range(20):
    DEEP, DEEP_TUPLE = {"deeper": DEEP}, (DEEP_TUPLE,)
METADATA: Bad = {
    **invalid(
        string="topic",
        list=["topic"],
        number_as_key={1: "topic"},
        too_deep=DEEP,
        too_deep_in_tuples={"a": DEEP_TUPLE},
        bytes={"a": b"x"},
        set={"a": {1}},
        not_a_number={"a": float("nan")},
        infinite={"a": float("inf")},
        lone_surrogate={"a": "\ud800"},
        unprintably_huge={"a": 10**5_000},
        callable={"a": len},
    ),
    "too_large": ({"a": "x" * MAX_METADATA_BYTES}, "too_large"),
    "too_large_in_utf8": ({"a": "é" * (MAX_METADATA_BYTES // 2)}, "too_large"),
}

ROOM_NAME: Bad = {**names("invalid_name"), "a_call": ("call:42", "invalid_name")}
IDENTITY = names("invalid_identity")
SECONDS = seconds(-0.001, 31_536_000.1)
KINDS: dict[str, Bad] = {
    "room": ROOM_NAME,
    "identity": IDENTITY,
    "owner": IDENTITY,
    "callee": IDENTITY,
    "to": IDENTITY,
    "name": texts(256),
    "callee_name": texts(256),
    "mode_id": texts(256),
    "reason": texts(512),
    "device_id": invalid(**NOT_A_STRING, **UNPRINTABLE, empty="", oversized="x" * 65, blank="my phone", letter="télé"),
    "index": SEAT,
    "first": SEAT,
    "second": SEAT,
    "seat_index": SEAT,
    "seat_count": COUNT,
    "max_participants": invalid(**NUMBERS, none_at_all=0, negative=-1, huge=10**30),
    "revision": invalid(**NUMBERS, negative=-1),
    "limit": invalid(**NUMBERS, none_at_all=0, negative=-1, one_too_many=101),
    "cursor": invalid(number=7, oversized="x" * 513, lone_surrogate="\ud800"),
    "max_duration": SECONDS,
    "empty_timeout": SECONDS,
    "host_left_grace": SECONDS,
    "request_timeout": SECONDS,
    "duration": SECONDS,
    "ring_timeout": seconds(4.9, 180.1),
    "metadata": METADATA,
    "type": WORD,
    "phase": WORD,
    "seat_mode": WORD,
    "duplicate_identity": WORD,
    "kind": WORD,
    "role": WORD,
    "capability": WORD,
    "allowed": FLAG,
    "as_host": FLAG,
    "seat_video": FLAG,
    "backstage": FLAG,
    "block": FLAG,
    "take": FLAG,
    "audio": FLAG,
    "video": FLAG,
}
ID_OF = {"accept_request", "reject_request", "cancel_request"}
NUMBER_ID = invalid(**NUMBERS, zero=0, negative=-1, huge=2**53 + 1)

GOOD: dict[str, Any] = {
    "room": LOUNGE,
    "identity": "ann",
    "callee": "bob",
    "type": "audio_room",
    "kind": "speak",
    "role": "host",
    "capability": "mute",
    "allowed": True,
    "first": 0,
    "second": 1,
    "index": 0,
    "metadata": {},
}


def good(name: str) -> dict[str, Any]:
    """The fewest fields that make this command."""
    fields = {field: GOOD.get(field) for field, info in COMMANDS[name].model_fields.items() if info.is_required()}
    if "id" in fields:
        fields["id"] = 1 if name in ID_OF else "some-id"
    return fields


def refused_by(name: str, field: str) -> Bad:
    if field == "id":
        return NUMBER_ID if name in ID_OF else ID
    bad = KINDS[field]
    # None is how an optional field is left out.
    optional = type(None) in get_args(COMMANDS[name].model_fields[field].annotation)
    return {shows: what for shows, what in bad.items() if not (optional and what[0] is None)}


FIELDS = [(name, field) for name, command in COMMANDS.items() for field in command.model_fields]


def ways(name: str, fields: Any) -> list[Callable[[], Command]]:
    """The ways in which these fields can arrive."""
    command = COMMANDS[name]
    found: list[Callable[[], Command]] = [lambda: command(**fields), lambda: command.parse(fields)]
    try:
        text = json.dumps(fields)
    except (TypeError, ValueError):
        return found
    # What JSON cannot tell apart is no mistake there: a tuple is a list, and every key is a string. Half a character is
    # no JSON at all.
    same = json.loads(text) == fields or any(value != value for value in fields.values())
    if same and "\\ud800" not in text:
        found += [lambda: command.parse(text), lambda: command.parse(text.encode())]
    return found


def check(error: UTDStreamException, code: str) -> None:
    assert error.code == code, error
    assert error.status_code == (413 if code == "too_large" else 422)
    assert isinstance(error, InvalidInput)
    assert isinstance(error, TooLarge) is (code == "too_large")
    assert any(word in error.message for word in ("must", "may", "should", "give its", "Invalid JSON")), error
    assert len(error.message) < 2_000


@pytest.mark.parametrize("name", COMMANDS)
def test_the_fewest_fields_make_a_command(name: str) -> None:
    for way in ways(name, good(name)):
        assert isinstance(way(), COMMANDS[name])


@rule("A command checks its own fields, so one that exists is well formed; whether it is *allowed* is for `decide`.")
@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_malformed_field_is_one_typed_error(name: str, field: str) -> None:
    for shows, (value, code) in refused_by(name, field).items():
        for way in ways(name, {**good(name), field: value}):
            try:
                made = way()
            except UTDStreamException as refusal:
                check(refusal, code)
            else:
                pytest.fail(f"{shows} was accepted: {made!r:.200}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_field_is_named(name: str) -> None:
    for missing in good(name):
        fields = good(name)
        del fields[missing]
        for way in ways(name, fields):
            with pytest.raises(InvalidInput, match=f"{missing}: Field required"):
                way()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("extra", ["by", "actor", "spec", "self", "cls", "model_config", "__class__", ""])
def test_an_unknown_field_is_refused_and_the_known_ones_are_named(name: str, extra: str) -> None:
    for way in ways(name, {**good(name), extra: 1}):
        with pytest.raises(InvalidInput) as error:
            way()
        assert error.value.code == ErrorCode.INVALID_INPUT
        assert "there is no such field; there are" in error.value.message
        assert all(field in error.value.message for field in good(name))


NOT_FIELDS: dict[str, Any] = {
    "nothing": b"",
    "not_json": b"nope",
    "half": '{"room": "loun',
    "not_utf8": b'{"room": "\xff"}',
    "a_list": b"[1, 2]",
    "a_string": b'"lounge"',
    "a_number": b"42",
    "null": b"null",
    "deep": b"[" * 100_000,
    "python_none": None,
    "python_list": ["lounge"],
    "python_number": 42,
    "keys_that_are_no_strings": {1: 2},
    "not_a_number": b'{"room": NaN}',
    "a_surrogate": b'{"room": "\\ud800"}',
}


@pytest.mark.parametrize("shows", NOT_FIELDS)
def test_what_is_no_command_at_all_is_invalid_input(shows: str) -> None:
    for command in (TakeSeat, CreateRoom, StartCall):
        with pytest.raises(InvalidInput) as error:
            command.parse(NOT_FIELDS[shows])
        assert error.value.status_code == 422
        assert len(error.value.message) < 500


def test_what_is_said_about_somebody_else_s_mistakes_is_bounded() -> None:
    with pytest.raises(InvalidInput) as error:
        TakeSeat.parse({"room": LOUNGE, **{f"{number}" * 1_000: 1 for number in range(1_000)}})
    assert len(error.value.message) < 2_000
    assert "and 992 more" in error.value.message
    assert len(error.value.details["problems"]) == 8


def test_metadata_is_kept_as_the_copy_that_was_checked() -> None:
    inner = {"songs": [1, 2]}
    command = UpdateMetadata(room=LOUNGE, metadata=inner)
    inner["songs"].append(3)
    assert command.metadata == {"songs": [1, 2]}
    with pytest.raises(ValueError, match="frozen"):
        command.metadata = {}
