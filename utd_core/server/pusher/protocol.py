"""What a client says: text of any kind, turned into one of a few messages.

Nothing here knows a socket or a time. What comes out is well formed, or says what is not; whether it is allowed is for
others. Fields that are not known are ignored, as stock clients of many versions send some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from ...broker.base import Recover
from ...errors import InvalidInput, TooLarge
from ...media.signalling import MAX_SIGNAL_BYTES
from .codes import CloseCode
from .frames import json_text
from .names import MAX_CHANNEL

VERSIONS = (5, 6, 7)
"""Versions of the protocol that clients may ask for; what is sent is the same for all."""
MAX_EVENT_NAME = 200
MAX_ID = 128
MAX_AUTH = 512
MAX_USER_DATA = 16_384
CLIENT_PREFIX = "client-"
SIGNAL = "client-utd-signal"
"""The one client event that is not sent on: it is for the media backend."""
MAX_LINE = 64
RESERVED = ("pusher:", "pusher_internal:", "utd:")
"""Events that only the server makes."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`auth` is empty where the client has none; `channel_data` is JSON text, as it was signed."""

    channel: str
    auth: str = ""
    channel_data: str | None = None
    recover: Recover | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    channel: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Either `auth` and the `user_data` that it signs, or a user `token` of the engine."""

    auth: str = ""
    user_data: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """`data` is JSON text. With an `id` it is acknowledged or refused by name."""

    channel: str
    event: str
    data: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """What a client says to the media backend's control half, on a line that it has named: a JSON object, or None when
    the line is over."""

    channel: str
    line: str
    message: bytes | None
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """The client wants to know whether we are there."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The client is there."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """None of the others, and why. `event`, `channel` and `id` as far as they could be read."""

    error: InvalidInput
    event: str = ""
    channel: str = ""
    id: str | int | None = None


ClientMessage = Subscribe | Unsubscribe | SignIn | ClientEvent | Signal | Ping | Pong | Malformed


class Refusal(Exception):
    """A connection that cannot be had, with the code to close it with."""

    def __init__(self, code: CloseCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_version(query: Mapping[str, str]) -> int:
    """The version that a client asks for. Raises `Refusal`."""
    asked = query.get("protocol", "")
    if not asked:
        raise Refusal(CloseCode.NO_VERSION, "no protocol version supplied; connect with ?protocol=7")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        raise Refusal(CloseCode.INVALID_VERSION, "the protocol version is not a number; connect with ?protocol=7")
    if int(asked) not in VERSIONS:
        raise Refusal(CloseCode.UNSUPPORTED_VERSION, f"protocol version {int(asked)} is not supported; connect with 7")
    return int(asked)


def parse(text: str, *, message_bytes: int, event_bytes: int) -> ClientMessage:
    """The message; `Malformed` for whatever is none. Never raises."""
    message: Mapping[str, Any] = {}
    try:
        if size_of(text) > message_bytes:
            raise TooLarge(f"a message has at most {message_bytes} bytes, got {size_of(text)}")
        message = read_object(text, "a message")
        return _read(message, event_bytes)
    except InvalidInput as error:
        return _malformed(message, error)


def size_of(text: str) -> int:
    """Bytes of a text on the wire."""
    return len(text) if text.isascii() else len(text.encode())


def _read(message: Mapping[str, Any], event_bytes: int) -> ClientMessage:
    event = _string(message, "event", MAX_EVENT_NAME)
    if event == SIGNAL:
        return _signal(message)
    if event.startswith(CLIENT_PREFIX):
        return _client_event(message, event, event_bytes)
    match event:
        case "pusher:subscribe":
            return _subscribe(_data(message))
        case "pusher:unsubscribe":
            return Unsubscribe(_string(_data(message), "channel", MAX_CHANNEL))
        case "pusher:signin":
            data = _data(message)
            return SignIn(
                _string(data, "auth", MAX_AUTH, ""),
                _string(data, "user_data", MAX_USER_DATA, ""),
                _string(data, "token", MAX_USER_DATA, ""),
            )
        case "pusher:ping":
            return Ping()
        case "pusher:pong":
            return Pong()
    raise InvalidInput(f"there is no message {event[:64]!r}; a client's own events begin with {CLIENT_PREFIX!r}")


def _malformed(message: Mapping[str, Any], error: InvalidInput) -> Malformed:
    """Whose message it was, so that its sender can tell which of them was refused."""
    event, id, data = message.get("event"), message.get("id"), message.get("data")
    channel = message.get("channel") or (data.get("channel") if isinstance(data, dict) else None)
    return Malformed(
        error,
        event if isinstance(event, str) and len(event) <= MAX_EVENT_NAME else "",
        channel if isinstance(channel, str) and len(channel) <= MAX_CHANNEL else "",
        id if _is_id(id) else None,
    )


def _subscribe(data: Mapping[str, Any]) -> Subscribe:
    channel_data = data.get("channel_data")
    if channel_data is not None and not isinstance(channel_data, str):
        raise InvalidInput("channel_data must be JSON in a string, as it was signed")
    recover = data.get("recover")
    return Subscribe(
        _string(data, "channel", MAX_CHANNEL),
        _string(data, "auth", MAX_AUTH, ""),
        channel_data,
        None if recover is None else _recover(recover),
    )


def _recover(place: Any) -> Recover:
    if not isinstance(place, dict):
        raise InvalidInput("recover must be an object with epoch and offset")
    epoch, offset = place.get("epoch"), place.get("offset")
    if not isinstance(epoch, str) or isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise InvalidInput("recover must have an epoch, a string, and an offset, a whole number from 0 on")
    return Recover(epoch, offset)


def _client_event(message: Mapping[str, Any], event: str, event_bytes: int) -> ClientEvent:
    id = _id(message)
    data = message.get("data", {})
    text = data if isinstance(data, str) else json_text(data)
    check_event_size(text, event_bytes)
    return ClientEvent(_string(message, "channel", MAX_CHANNEL), event, text, id)


def _signal(message: Mapping[str, Any]) -> Signal:
    data, id = _data(message), _id(message)
    said = data.get("message")
    if not (said is None or isinstance(said, dict)):
        raise InvalidInput("message must be a JSON object, or null when the line is over")
    text = None if said is None else json_text(said).encode()
    if text is not None and len(text) > MAX_SIGNAL_BYTES:
        raise TooLarge(f"a signalling message has at most {MAX_SIGNAL_BYTES} bytes, got {len(text)}")
    line = _string(data, "line", MAX_LINE)
    if not line:
        raise InvalidInput(f"line must be a name of 1 to {MAX_LINE} characters, of your choice")
    return Signal(_string(message, "channel", MAX_CHANNEL), line, text, id)


def _id(message: Mapping[str, Any]) -> str | int | None:
    id = message.get("id")
    if not (id is None or _is_id(id)):
        raise InvalidInput(f"id must be a string or a whole number of at most {MAX_ID} characters")
    found: str | int | None = id
    return found


def check_event_size(data: str, event_bytes: int) -> None:
    """Raise `TooLarge` where the data of an event is."""
    if size_of(data) > event_bytes:
        raise TooLarge(f"the data of an event has at most {event_bytes} bytes, got {size_of(data)}")


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= MAX_ID


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a message to the server: an object, or a string that holds one."""
    data = message.get("data")
    if isinstance(data, str):
        return read_object(data, "data")
    if not isinstance(data, dict):
        raise InvalidInput("data must be an object")
    return data


def read_object(text: str, what: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises `InvalidInput`."""
    try:
        # At most 200 levels deep; numbers and strings have bounds too.
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"{what} must be JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} must be a JSON object, got {type(value).__name__}")
    return value


def _string(data: Mapping[str, Any], name: str, limit: int, default: str | None = None) -> str:
    value = data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidInput(f"{name} must be a string of at most {limit} characters")
    return value
