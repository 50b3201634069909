"""What client and server say to each other on the socket: the Pusher Channels protocol, version 7, as a client.

Nothing here knows a socket or a time. Messages that this client has no use for (client events, those of a newer server)
are `Other`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import ValidationError
from pydantic_core import from_json

from ...broker.base import Recover
from ...errors import (
    ErrorCode,
    FeatureDisabled,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    UTDStreamException,
)
from ...model.codec import load_event
from ...model.wire import error_of
from ...store.base import Envelope, Head
from ...version import __version__

QUERY = f"protocol=7&client=utd-core&version={__version__}"


@dataclass(frozen=True, slots=True)
class Established:
    """The server has taken this client in. `activity_timeout`: seconds of silence after which it would ask."""

    activity_timeout: float


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The token was good."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The oldest subscribe to the channel that was not answered holds. `head` None: the channel has no places."""

    channel: str
    head: Head | None
    recovered: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The oldest subscribe to the channel that was not answered is refused or, where there is none, it has ended."""

    channel: str
    error: UTDStreamException


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The channel has nothing more to say to this client."""

    channel: str


@dataclass(frozen=True, slots=True)
class Published:
    """A fact of the engine."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fact at its place in a channel, which this version cannot read."""

    channel: str
    place: Head
    type: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """The media backend's control half says something, a JSON object, on a line of this client's."""

    line: str
    message: bytes


@dataclass(frozen=True, slots=True)
class LineOver:
    """A line of this client's has ended: it was `lost`, and another one may be tried; or it is over for good."""

    line: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """The server wants to know whether we are there."""


@dataclass(frozen=True, slots=True)
class Other:
    """Nothing to act upon. What it says may be worth a line in the log."""

    text: str


ServerMessage = (
    Established
    | SignedIn
    | Subscribed
    | Refused
    | Unsubscribed
    | Published
    | Unreadable
    | Signalled
    | LineOver
    | Ping
    | Other
)


def read(text: str) -> ServerMessage:
    """A message of the server. Raises `Unavailable` for what is none of the protocol at all."""
    try:
        message = from_json(text)
        event = message["event"]
        if not isinstance(event, str):
            raise TypeError
        return _read(event, message)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unavailable(
            f"the socket carries something else than the protocol: {text[:64]!r}; is it an engine's?"
        ) from None


def sign_in(token: str) -> str:
    """Be somebody; again, with another token of the same user, before the first one expires."""
    return _message("pusher:signin", {"token": token})


def subscribe(channel: str, recover: Recover | None) -> str:
    place = {} if recover is None else {"recover": {"epoch": recover.epoch, "offset": recover.offset}}
    return _message("pusher:subscribe", {"channel": channel, **place})


def unsubscribe(channel: str) -> str:
    return _message("pusher:unsubscribe", {"channel": channel})


def signal(channel: str, line: str, message: bytes | None) -> str:
    """Say something, a JSON object, to the media backend's control half; None: the line is over."""
    said = "null" if message is None else message.decode()
    return (
        f'{{"event":"client-utd-signal","channel":{json.dumps(channel)},"data":{{"line":"{line}","message":{said}}}}}'
    )


PING = json.dumps({"event": "pusher:ping", "data": {}})
PONG = json.dumps({"event": "pusher:pong", "data": {}})


def socket_url(said: str | None, base_url: str, key: str) -> str:
    """Where the socket is: where the server said, or else below `base_url`.

    The token is sent there, so never in the clear where requests are encrypted.
    """
    base = urlsplit(base_url)
    parts = urlsplit(said) if said else urlsplit(f"{base_url}/app/{quote(key, safe='')}")
    secure = base.scheme == "https" or parts.scheme in ("https", "wss")
    query = f"{parts.query}&{QUERY}" if parts.query else QUERY
    return urlunsplit(("wss" if secure else "ws", parts.netloc, parts.path, query, ""))


def error_of_close(code: int, reason: str) -> UTDStreamException | None:
    """Why this client must not come back; None where it may."""
    if not 4000 <= code < 4100:
        return None
    said = f"the server closed the socket: {reason or 'it did not say why'} ({code})"
    match code:
        case 4001:
            return Unauthenticated(f"{said}; look at app_key and base_url")
        case 4003:
            return Forbidden(said, code=ErrorCode.PROJECT_SUSPENDED)
        case 4004:
            return FeatureDisabled(said)
        case 4005:
            return NotFound(f"{said}; look at base_url", code=ErrorCode.ROUTE_NOT_FOUND)
        case 4009:
            return Unauthenticated(f"{said}; authenticate again")
    return Forbidden(said)


def _read(event: str, message: Mapping[str, Any]) -> ServerMessage:
    channel = message.get("channel", "")
    match event:
        case "pusher:connection_established":
            return Established(float(_data(message)["activity_timeout"]))
        case "pusher:signin_success":
            return SignedIn()
        case "pusher:ping":
            return Ping()
        case "pusher_internal:subscription_succeeded":
            head = Head(str(message["epoch"]), int(message["offset"])) if "epoch" in message else None
            return Subscribed(channel, head, message.get("recovered") is True)
        case "pusher:subscription_error":
            return Refused(channel, _refusal(_data(message)))
        case "utd:signal":
            data = _data(message)
            return Signalled(str(data["line"]), json.dumps(data["message"], ensure_ascii=False).encode())
        case "utd:line_over":
            data = _data(message)
            return LineOver(str(data["line"]), data["lost"] is True)
        case "utd:unsubscribed":
            return Unsubscribed(channel)
        case "pusher:error":
            return Other(str(message.get("data")))
    if "epoch" in message:
        return _fact(event, channel, message)
    return Other(event)


def _fact(event: str, channel: str, message: Mapping[str, Any]) -> Published | Unreadable:
    place = Head(str(message["epoch"]), int(message["offset"]))
    kind, key, at = message["kind"], message["key"], float(message["at"])
    try:
        fact = load_event(event, message["data"])
    except (KeyError, ValidationError):
        return Unreadable(channel, place, event)
    return Published(Envelope(channel, place.epoch, place.offset, kind, key, at, fact))


def _refusal(data: Mapping[str, Any]) -> UTDStreamException:
    message, code, status, details = (data.get(name) for name in ("error", "code", "status", "details"))
    return error_of(
        status if isinstance(status, int) else 403,
        str(code or ErrorCode.FORBIDDEN),
        str(message or "the subscription was refused"),
        details if isinstance(details, dict) else None,
    )


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    data = message.get("data")
    found = from_json(data) if isinstance(data, str) else data
    if not isinstance(found, dict):
        raise TypeError("data is no object")
    return found


def _message(event: str, data: Mapping[str, Any]) -> str:
    return json.dumps({"event": event, "data": data})
