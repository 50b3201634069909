"""Whatever is sent, the answer is one typed refusal, and nothing has changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.errors import ErrorCode, InvalidInput
from utd_core.model.commands import GetRoom, ListRooms
from utd_core.server import AppSettings
from utd_core.server.http.bodies import parse_object

from .world import API, World, done, refused

ROOMS = f"{API}/rooms"
JSON = {"content-type": "application/json"}


async def sent(world: World, content: Any, headers: dict[str, str] | None = None) -> Any:
    return await world.server().send("POST", ROOMS, content=content, headers=JSON if headers is None else headers)


async def nothing_happened(world: World) -> bool:
    page = await world.engine.execute(ListRooms())
    return not page.data


class TestBodies:
    @pytest.mark.parametrize(
        "content",
        [
            b"{",
            b"}",
            b"{]",
            b"nothing",
            b'{"room": "x",}',
            b"{'room': 'x'}",
            b'{"room": "x" "type": "audio_room"}',
            b'{"room": "x"} {}',
            b'{"room": NaN}',
            b'{"room": Infinity}',
            b'{"room": -Infinity}',
            b'{"room": "\xff"}',
            b'{"room": "a\nb"}',
            '{"room": "x"}'.encode("utf-16"),
            '{"room": "x"}'.encode("utf-32"),
            '\ufeff{"room": "x"}'.encode(),
            b"[]",
            b"null",
            b'"room"',
            b"7",
            b"true",
            b" ",
            b'{"room": "x", "room": "y", "type": "audio_room"}',
            b'{"room": "x", "type": "audio_room", "metadata": {"a": 1, "a": 2}}',
            b"[" * 100_000,
            b'{"a":' * 40_000,
            b'{"a":' * 40 + b"1" + b"}" * 40,
            b'{"metadata":' + b"[" * 40 + b"]" * 40 + b"}",
            b'{"seat_count": ' + b"9" * 5_000 + b"}",
            b'{"seat_count": -}',
            b'{"seat_count": 01}',
            b'{"room": "\\ud8"}',
            b'{"mode_id": "\\ud800"}',
            b'{"metadata": {"a": ["\\uDFFF"]}}',
            b'{"\\ud800": 1}',
        ],
        ids=lambda content: repr(content[:24]),
    )
    async def test_that_are_no_json_object_are_refused(self, world: World, content: bytes) -> None:
        refused(await sent(world, content), 422, ErrorCode.INVALID_JSON)
        assert await nothing_happened(world)

    @pytest.mark.parametrize(
        "fields",
        [
            b'"metadata": {"a": 1e999}',
            b'"max_duration": 1e999',
            b'"max_duration": -0',
            b'"seat_count": 1e2',
            b'"seat_count": ' + b"9" * 400,
            b'"mode_id": "\\u0000"',
            b'"metadata": []',
            b'"metadata": "{}"',
            b'"__proto__": {}, "constructor": {}',
            b'"": 1',
        ],
    )
    async def test_with_impossible_values_are_refused(self, world: World, fields: bytes) -> None:
        content = b'{"room": "x", "type": "audio_room", ' + fields + b"}"
        refused(await sent(world, content), 422, ErrorCode.INVALID_INPUT)
        assert await nothing_happened(world)

    async def test_with_large_numbers_and_any_text_in_metadata_are_what_they_were(self, world: World) -> None:
        metadata = {"n": 10**300, "f": 1e-300, "t": "\u0000 \u2028 👩‍👩‍👧 \\", "": None, "nested": [[[{"a": []}]]]}
        done(await world.server().post("/rooms", room="x", type="audio_room", metadata=metadata))
        assert done(await world.server().give(GetRoom(room="x")))["room"]["metadata"] == metadata

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"content-type": "text/plain"},
            {"content-type": "application/x-www-form-urlencoded"},
            {"content-type": "multipart/form-data; boundary=x"},
            {"content-type": "application/jsonp"},
            {"content-type": "application/json; charset=latin-1"},
            {"content-type": "application/json; charset=utf-16"},
            {"content-type": "application/json", "content-encoding": "gzip"},
            {"content-type": ""},
        ],
    )
    async def test_of_another_type_are_refused(self, world: World, headers: dict[str, str]) -> None:
        response = await sent(world, b'{"room": "x", "type": "audio_room"}', headers)
        refused(response, 415, ErrorCode.UNSUPPORTED_MEDIA_TYPE)
        assert await nothing_happened(world)

    @pytest.mark.parametrize(
        "kind",
        ["application/json", "Application/JSON", "application/json; charset=UTF-8", 'application/json;charset="utf-8"'],
    )
    async def test_of_the_right_type_may_say_so_in_several_ways(self, world: World, kind: str) -> None:
        done(await sent(world, b'{"room": "x", "type": "audio_room"}', {"content-type": kind}))


class TestSizes:
    async def test_of_bodies_are_bounded_before_anything_is_read(self, world: World) -> None:
        reads = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal reads
            while True:
                reads += 1
                yield b" " * 1_000

        response = await sent(world, endless(), {**JSON, "content-length": "10000000"})
        assert refused(response, 413, ErrorCode.TOO_LARGE) == {"max_bytes": 262_144}
        assert reads == 0

    async def test_of_bodies_are_bounded_while_they_are_read(self, world: World) -> None:
        reads = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal reads
            while True:
                reads += 1
                yield b" " * 1_000

        refused(await sent(world, endless(), {**JSON, "transfer-encoding": "chunked"}), 413, ErrorCode.TOO_LARGE)
        assert reads == 263

    async def test_of_bodies_may_be_what_is_allowed(self, world: World) -> None:
        content = b'{"room": "x", "type": "audio_room"}'
        done(await sent(world, content + b" " * (262_144 - len(content))))

    async def test_of_values_are_bounded(self) -> None:
        settings = AppSettings(max_values=100, max_depth=4)
        async with World(settings=settings) as world:
            many = json.dumps({"room": "x", "type": "audio_room", "metadata": {"a": [0] * 96}}).encode()
            refused(await sent(world, many), 413, ErrorCode.TOO_LARGE)
            done(await sent(world, many.replace(b", 0]", b"]")))
            deep = b'{"room": "y", "type": "audio_room", "metadata": {"a": {"b": [%s]}}}'
            refused(await sent(world, deep % b"[]"), 422, ErrorCode.INVALID_JSON)
            done(await sent(world, deep % b"0"))

    async def test_of_metadata_are_the_commands_own(self, world: World) -> None:
        response = await world.server().post("/rooms", room="x", type="audio_room", metadata={"a": "x" * 70_000})
        refused(response, 413, ErrorCode.TOO_LARGE)

    @pytest.mark.parametrize("name", ["max_body", "max_depth", "max_values", "max_buckets"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "9"])
    def test_are_whole_numbers_above_zero(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidInput, match=name):
            AppSettings(**{name: value})


class TestTheReader:
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )

    @given(st.dictionaries(st.text(), json_values))
    def test_reads_what_json_writes(self, value: dict[str, Any]) -> None:
        assert parse_object(json.dumps(value, ensure_ascii=True).encode(), 1_000, 10_000) == value

    @given(json_values, st.integers(1, 6), st.integers(1, 12))
    def test_refuses_exactly_what_is_over_its_bounds(self, value: Any, max_depth: int, max_values: int) -> None:
        whole = {"value": value}
        fits = depth_of(whole) <= max_depth and count_of(whole) <= max_values
        try:
            parse_object(json.dumps(whole).encode(), max_depth, max_values)
        except InvalidInput:
            assert not fits
        else:
            assert fits

    @given(st.binary() | st.text().map(str.encode))
    @settings(max_examples=300)
    def test_raises_nothing_but_its_own(self, content: bytes) -> None:
        with suppress(InvalidInput):
            assert isinstance(parse_object(content, 32, 1_000), dict)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def count_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count_of, inner))


class TestHeaders:
    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "\x7f"])
    async def test_with_a_key_that_is_none_are_refused(self, world: World, key: str) -> None:
        response = await world.server().send(
            "POST", ROOMS, json={"room": "x", "type": "audio_room"}, headers={"Idempotency-Key": key}
        )
        refused(response, 422, ErrorCode.INVALID_INPUT)
        assert await nothing_happened(world)

    async def test_with_two_keys_are_refused(self, world: World) -> None:
        headers = [*world.server().headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        response = await world.http.post(ROOMS, json={"room": "x", "type": "audio_room"}, headers=headers)
        refused(response, 422, ErrorCode.INVALID_INPUT)
        assert await nothing_happened(world)
