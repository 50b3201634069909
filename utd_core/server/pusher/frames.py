"""Messages to a client, ready to be sent.

`data` of an event is a string that holds JSON, as the protocol has it; only errors have it as an object.
Frames named `utd:...`, and the fields `epoch`, `offset`, `recovered`, `kind`, `key`, `at` and `id`, are this server's
own; a stock client does not see them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from ...errors import UTDStreamException
from ...model.codec import dump
from ...store.base import Envelope, Head
from ..answers import as_told

_TEXT = 0x81
"""First byte of a WebSocket frame that is a whole text message."""


class Frame:
    """One message, prepared once for however many sockets. `message` is its ASGI form, shared: nobody changes it."""

    __slots__ = ("_raw", "message")

    def __init__(self, text: str) -> None:
        self.message: dict[str, Any] = {"type": "websocket.send", "text": text}
        self._raw: bytes | None = None

    @property
    def text(self) -> str:
        text: str = self.message["text"]
        return text

    @property
    def raw(self) -> bytes:
        """The bytes on the wire: a server's WebSocket frames are not masked, so they are the same for everybody."""
        if self._raw is None:
            payload = self.text.encode()
            size = len(payload)
            if size < 126:
                head = bytes((_TEXT, size))
            elif size < 65_536:
                head = struct.pack("!BBH", _TEXT, 126, size)
            else:
                head = struct.pack("!BBQ", _TEXT, 127, size)
            self._raw = head + payload
        return self._raw


def json_text(value: Any) -> str:
    """Compact JSON. Infinite numbers, become null; whatever else JSON has no word for becomes text."""
    return to_json(value, inf_nan_mode="null", fallback=str).decode()


def frame(event: str, *, channel: str | None = None, data: str | Mapping[str, Any] = "{}", **more: Any) -> Frame:
    """A message with the fields in the order in which people read them."""
    named = {"event": event} if channel is None else {"event": event, "channel": channel}
    return Frame(json_text({**named, "data": data, **more}))


PING = frame("pusher:ping")
PONG = frame("pusher:pong")


def established(socket_id: str, activity_timeout: float) -> Frame:
    data = {"socket_id": socket_id, "activity_timeout": max(1, int(activity_timeout))}
    return frame("pusher:connection_established", data=json_text(data))


def error(code: int | None, message: str) -> Frame:
    """Something went wrong; unless the code is from 4000 to 4299 the connection stays."""
    return frame("pusher:error", data={"code": code, "message": message})


def subscribed(channel: str, data: str = "{}", head: Head | None = None, recovered: bool | None = None) -> Frame:
    """The subscription holds. `head`: where the channel is; `recovered`: whether what was missed follows."""
    place = {} if head is None else {"epoch": head.epoch, "offset": head.offset}
    honest = {} if recovered is None else {"recovered": recovered}
    return frame("pusher_internal:subscription_succeeded", channel=channel, data=data, **place, **honest)


def subscription_error(channel: str, refusal: UTDStreamException) -> Frame:
    """The subscription was refused, or has ended."""
    said = as_told(refusal)
    kind = "AuthError" if said.status_code in (401, 403) else type(said).__name__
    data = {"type": kind, "error": said.message, "status": said.status_code, "code": said.code}
    more = {"details": dict(said.details)} if said.details else {}
    return frame("pusher:subscription_error", channel=channel, data=json_text({**data, **more}))


def unsubscribed(channel: str) -> Frame:
    """The channel has nothing more to say to this client."""
    return frame("utd:unsubscribed", channel=channel)


def member_added(channel: str, user_id: str, user_info: Any) -> Frame:
    data = {"user_id": user_id, "user_info": user_info}
    return frame("pusher_internal:member_added", channel=channel, data=json_text(data))


def member_removed(channel: str, user_id: str) -> Frame:
    return frame("pusher_internal:member_removed", channel=channel, data=json_text({"user_id": user_id}))


def signed_in(user_data: str) -> Frame:
    return frame("pusher:signin_success", data=json_text({"user_data": user_data}))


def app_event(channel: str, event: str, data: str, user_id: str | None = None) -> Frame:
    """What the application's server triggered or, with a `user_id` or without, another client sent."""
    sender = {} if user_id is None else {"user_id": user_id}
    return frame(event, channel=channel, data=data, **sender)


def accepted(channel: str, id: str | int) -> Frame:
    """A client event was sent on."""
    return frame("utd:accepted", channel=channel, id=id)


def refused(channel: str, id: str | int, refusal: UTDStreamException) -> Frame:
    """A client event was not sent on."""
    said = as_told(refusal)
    data = {"message": said.message, "code": said.code, "status": said.status_code}
    return frame("utd:refused", channel=channel, data=json_text(data), id=id)


def engine_event(envelope: Envelope) -> Frame:
    """A fact of the engine at its place in the channel.

    `data` is the event's JSON, and names the room or call that it happened to (`room` or `call`, as `kind` and `key` do
    outside, where a stock client does not look).
    """
    data = dump(envelope.event)
    subject = b'{"%s":%s' % (envelope.kind.encode(), to_json(envelope.key))
    rest = data[1:] if data == b"{}" else b"," + data[1:]
    return frame(
        envelope.event.type,
        channel=envelope.channel,
        data=(subject + rest).decode(),
        epoch=envelope.epoch,
        offset=envelope.offset,
        kind=envelope.kind,
        key=envelope.key,
        at=envelope.at,
    )
