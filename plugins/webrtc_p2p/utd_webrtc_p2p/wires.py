"""What goes over the two data channels, besides media.

On `reliable`: data, as 4 bytes number (from 1, big endian), 2 bytes length of the topic, topic in UTF-8, payload; and
text `{"wants": {track id: bool}}`, which of the other's tracks are wanted now. On `lossy`: lossy data, as 2 bytes
length of the topic, topic, payload; and text `{"beat": n, "ack": n}`, a sign of life with the last number of reliable
data that has arrived, which is answered at once by `{"echo": n, "ack": n}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from utd_core.errors import InvalidInput

from .capabilities import MAX_DATA_BYTES

MAX_TEXT = 4_096
MAX_TOPIC = 1_000
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Numbered:
    number: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Loose:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Wants:
    wanted: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Beat:
    """`is_echo`: the answer to one's own beat of that number."""

    number: int
    ack: int
    is_echo: bool = False


def encode_numbered(number: int, topic: str, payload: bytes) -> bytes:
    return struct.pack(">I", number) + encode_loose(topic, payload)


def encode_loose(topic: str, payload: bytes) -> bytes:
    label = topic.encode()
    return struct.pack(">H", len(label)) + label + payload


def encode_wants(wanted: Mapping[str, bool]) -> str:
    return json.dumps({"wants": dict(wanted)})


def encode_beat(beat: Beat) -> str:
    return json.dumps({"echo" if beat.is_echo else "beat": beat.number, "ack": beat.ack})


def read_reliable(message: bytes | str) -> Numbered | Wants:
    """What has arrived on `reliable`. Raises `InvalidInput`."""
    if isinstance(message, str):
        wanted = _json(message).get("wants")
        if (
            not isinstance(wanted, dict)
            or len(wanted) > 16
            or not all(type(value) is bool for value in wanted.values())
        ):
            raise InvalidInput("a text on the channel reliable must hold {'wants': {track: bool}}")
        return Wants(wanted)
    if len(message) < 6:
        raise InvalidInput("a message of data is too short")
    topic, payload = _topic(message[4:])
    return Numbered(struct.unpack_from(">I", message)[0], topic, payload)


def read_lossy(message: bytes | str) -> Loose | Beat:
    """What has arrived on `lossy`. Raises `InvalidInput`."""
    if isinstance(message, str):
        said = _json(message)
        number, ack = said.get("beat", said.get("echo")), said.get("ack")
        if not (_is_number(number) and _is_number(ack)):
            raise InvalidInput("a text on the channel lossy must hold {'beat' or 'echo': n, 'ack': n}")
        return Beat(number, ack, "echo" in said)
    return Loose(*_topic(message))


def _topic(message: bytes) -> tuple[str, bytes]:
    if len(message) < 2:
        raise InvalidInput("a message of data is too short")
    (length,) = struct.unpack_from(">H", message)
    payload = message[2 + length :]
    if length > MAX_TOPIC or 2 + length > len(message) or len(payload) > MAX_DATA_BYTES:
        raise InvalidInput("a message of data is out of its bounds")
    try:
        return message[2 : 2 + length].decode(), payload
    except UnicodeDecodeError:
        raise InvalidInput("the topic of a message of data is no UTF-8") from None


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**32


def _json(text: str) -> dict[str, object]:
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"a text on a data channel has at most {MAX_TEXT} characters, got {len(text)}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("a text on a data channel is no JSON") from None
    if not isinstance(value, dict):
        raise InvalidInput("a text on a data channel is a JSON object")
    return value
