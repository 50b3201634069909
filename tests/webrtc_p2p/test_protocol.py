"""The readers of what comes from outside: whatever the bytes are, they read it or say `InvalidInput`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.errors import InvalidInput
from utd_core.media.signalling import MAX_SIGNAL_BYTES
from utd_webrtc_p2p.capabilities import MAX_DATA_BYTES
from utd_webrtc_p2p.protocol import (
    MAX_SDP,
    Candidate,
    Data,
    Description,
    Hello,
    Mute,
    Publish,
    Rebuild,
    TrackBody,
    read_from_control,
    read_from_participant,
)
from utd_webrtc_p2p.wires import (
    Beat,
    Loose,
    Numbered,
    Wants,
    encode_beat,
    encode_loose,
    encode_numbered,
    encode_wants,
    read_lossy,
    read_reliable,
)

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine is shared."""
TYPES = [
    "hello",
    "publish",
    "unpublish",
    "mute",
    "description",
    "candidate",
    "rebuild",
    "ping",
    "pong",
    "bye",
    "welcome",
]
NAMES = [
    "version",
    "token",
    "stay",
    "generation",
    "request",
    "track",
    "muted",
    "kind",
    "sdp",
    "candidate",
    "mid",
    "why",
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}).encode(),
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
)


@pytest.mark.parametrize("read", [read_from_participant, read_from_control])
@PATIENT
@given(message=st.binary(max_size=300) | OBJECTS)
def test_whatever_comes_is_read_or_refused(read: Callable[[bytes], object], message: bytes) -> None:
    with suppress(InvalidInput):
        read(message)


@pytest.mark.parametrize("read", [read_reliable, read_lossy])
@PATIENT
@given(message=st.binary(max_size=300) | st.text(max_size=300) | OBJECTS.map(bytes.decode))
def test_whatever_comes_over_a_data_channel_is_read_or_refused(
    read: Callable[[bytes | str], object], message: bytes | str
) -> None:
    with suppress(InvalidInput):
        read(message)


@pytest.mark.parametrize(
    "message",
    [
        Hello(token="t", stay="s", generation=3),
        Publish(request=1, track=TrackBody(id="TR_0123456789abcdef", source="microphone", name="voice 🎙")),  # type: ignore[arg-type]  # as JSON has it
        Mute(request=2, track="TR_0123456789abcdef", muted=True),
        Description(generation=1, kind="offer", sdp="v=0\r\n"),
        Candidate(generation=1, candidate="", mid="0", index=0),
        Rebuild(generation=1, why="it died"),
    ],
)
def test_what_is_written_is_read_as_it_was(message: Any) -> None:
    assert read_from_participant(message.encode()) == message


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"null",
        b"[]",
        b'"hello"',
        b"{}",
        b'{"type": "hello"}',
        b'{"type": "hello", "token": "t", "more": 1}',
        b'{"type": "hello", "token": 7}',
        b'{"type": "welcome", "stay": "s"}',
        b'{"type": "publish", "request": 1, "track": {"id": "TR_1", "source": "microphone"}}',
        b'{"type": "publish", "request": 1, "track": {"id": "TR_0123456789abcdef", "source": "door"}}',
        b'{"type": "description", "generation": -1, "kind": "offer", "sdp": ""}',
        b'{"type": "description", "generation": 1, "kind": "rollback", "sdp": ""}',
        b'{"type": "description", "generation": true, "kind": "offer", "sdp": ""}',
        b"\xff\xfe",
        b"[" * 10_000,
        json.dumps({"type": "hello", "token": "x" * 33_000}).encode(),
        json.dumps({"type": "description", "generation": 1, "kind": "offer", "sdp": "x" * (MAX_SDP + 1)}).encode(),
        b" " * (MAX_SIGNAL_BYTES + 1),
    ],
)
def test_what_makes_no_sense_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_from_participant(message)


def test_what_is_no_bytes_is_refused() -> None:
    with pytest.raises(InvalidInput, match="bytes"):
        read_from_participant("{}")  # type: ignore[arg-type]  # what is tested


@PATIENT
@given(payload=st.binary(max_size=200), topic=st.text(max_size=50))
def test_data_comes_back_as_it_was(payload: bytes, topic: str) -> None:
    assert read_reliable(encode_numbered(7, topic, payload)) == Numbered(7, topic, payload)
    assert read_lossy(encode_loose(topic, payload)) == Loose(topic, payload)
    assert Data.of(payload, topic, True).content() == payload


def test_the_other_words_of_the_channels_come_back_as_they_were() -> None:
    assert read_reliable(encode_wants({"TR_1": True})) == Wants({"TR_1": True})
    for beat in (Beat(1, 2), Beat(3, 4, is_echo=True)):
        assert read_lossy(encode_beat(beat)) == beat


@pytest.mark.parametrize(
    "message",
    [
        "[" * 4_000,
        '{"wants": {"a": 1}}',
        json.dumps({"wants": {str(number): True for number in range(17)}}),
        '{"wants": []}',
        b"\0\0\0\1\0",
        b"\0\0\0\1\xff\xff",
        b"\0\0\0\1\0\2\xff\xfe",
        b"\0\0\0\1\0\0" + bytes(MAX_DATA_BYTES + 1),
        " " * 5_000,
    ],
)
def test_nonsense_on_the_reliable_channel_is_refused(message: bytes | str) -> None:
    with pytest.raises(InvalidInput):
        read_reliable(message)


@pytest.mark.parametrize("message", ["{}", '{"beat": 1}', '{"beat": -1, "ack": 0}', '{"beat": true, "ack": 0}', b"\0"])
def test_nonsense_on_the_lossy_channel_is_refused(message: bytes | str) -> None:
    with pytest.raises(InvalidInput):
        read_lossy(message)


def test_a_payload_that_is_no_base64_is_refused() -> None:
    with pytest.raises(InvalidInput, match="base64"):
        Data(payload="!").content()
