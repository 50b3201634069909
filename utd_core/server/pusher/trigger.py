"""The protocol's HTTP API: the application's server triggers events and asks who listens.

| | |
|---|---|
| `POST /apps/{app_id}/events` | one event, to one channel or several |
| `POST /apps/{app_id}/batch_events` | several events |
| `GET /apps/{app_id}/channels` | channels with somebody in them |
| `GET /apps/{app_id}/channels/{channel}` | one channel |
| `GET /apps/{app_id}/channels/{channel}/users` | who is in a presence channel |
| `POST /apps/{app_id}/users/{user_id}/terminate_connections` | end the connections of a user |

Requests are signed (`signatures.py`). What is malformed is answered 400 here, as the protocol's libraries expect. What
is asked is answered by all nodes together; one that does not answer in time is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from ...bus import Questions
from ...errors import (
    ErrorCode,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from ..hosting.features import check_signaling
from ..http.bodies import parse_object, read_bytes
from ..http.rates import Rates
from ..mounts import check_method
from ..paths import path_of
from ..projects import Host, Hosted
from .census import Census, Figures
from .channel import as_message, topic_of
from .frames import Frame, app_event, json_text
from .hub import end_connections
from .names import ChannelKind, kind_of
from .presence import MAX_USER_ID
from .protocol import MAX_EVENT_NAME, RESERVED, check_event_size
from .settings import PusherSettings
from .signatures import SOCKET_ID, check_request

_DEPTH, _VALUES = 8, 5_000
_ESCAPED = 6
"""Bytes that JSON may take for one byte of an event's data."""
_ENVELOPE = 65_536
"""Bytes of a body besides the data of its events."""
_INFO = ("user_count", "subscription_count")


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event on its way to some channels."""

    channels: Sequence[str]
    event: str
    data: str
    skip: str
    info: Sequence[str]


class TriggerApi:
    """`questions`: to the other nodes."""

    def __init__(self, host: Host, settings: PusherSettings, questions: Questions, rates: Rates) -> None:
        self._host = host
        self._settings = settings
        self._bus = questions.bus
        self._census = Census(questions)
        self._rates = rates

    async def serve(self, request: Request, segments: Sequence[str]) -> Mapping[str, Any]:
        """What the request is answered, 200. Raises what the error tree has for it."""
        try:
            return await self._serve(request, segments)
        except (TooLarge, MethodNotAllowed):
            raise
        except InvalidInput as error:
            error.status_code = 400
            raise

    async def _serve(self, request: Request, segments: Sequence[str]) -> Mapping[str, Any]:
        match segments:
            case ["apps", app_id, "events"]:
                check_method(request.scope, "POST")
                return await self._events(*await self._signed(request, app_id))
            case ["apps", app_id, "batch_events"]:
                check_method(request.scope, "POST")
                return await self._batch(*await self._signed(request, app_id))
            case ["apps", app_id, "channels"]:
                check_method(request.scope, "GET")
                hosted, _ = await self._signed(request, app_id)
                return await self._channels(hosted, dict(_query_of(request)))
            case ["apps", app_id, "channels", channel]:
                check_method(request.scope, "GET")
                hosted, _ = await self._signed(request, app_id)
                return await self._channel(hosted, channel, dict(_query_of(request)))
            case ["apps", app_id, "channels", channel, "users"]:
                check_method(request.scope, "GET")
                hosted, _ = await self._signed(request, app_id)
                return await self._users(hosted, channel)
            case ["apps", app_id, "users", user_id, "terminate_connections"]:
                check_method(request.scope, "POST")
                hosted, _ = await self._signed(request, app_id)
                return await self._terminate(hosted, user_id)
            case ["users", user_id, "terminate_connections"]:
                # The Python library leaves the app out; its key says which one it is.
                check_method(request.scope, "POST")
                hosted, _ = await self._signed(request, None)
                return await self._terminate(hosted, user_id)
        raise NotFound("there is nothing at this path; look at its URL", code=ErrorCode.ROUTE_NOT_FOUND)

    async def _signed(self, request: Request, app_id: str | None) -> tuple[Hosted, bytes]:
        """The project, and the body, of a request that is signed. Raises `Unauthenticated`, `Forbidden`, `TooLarge`."""
        query = _query_of(request)
        key = dict(query).get("auth_key", "")
        hosted = await (self._host.find_by_key(key) if app_id is None else self._host.find(app_id))
        if hosted is None:
            raise Unauthenticated("no project has this id and key")
        body = await read_bytes(
            request, self._settings.batch_events * self._settings.event_bytes * _ESCAPED + _ENVELOPE
        )
        now, skew = hosted.engine.clock.now(), self._settings.request_skew
        check_request(hosted.project, request.method, path_of(request.scope), query, body, now, skew)
        if hosted.project.suspended:
            raise Forbidden("this project is suspended", code=ErrorCode.PROJECT_SUSPENDED)
        self._rates.admit_request(hosted)
        return hosted, body

    # Events

    async def _events(self, hosted: Hosted, body: bytes) -> Mapping[str, Any]:
        trigger = self._read(parse_object(body, _DEPTH, _VALUES))
        check_signaling(hosted.project)
        await self._publish(hosted, trigger)
        if not trigger.info:
            return {}
        found = await self._census.of(hosted.project.app_id, trigger.channels)
        return {"channels": {name: _info(name, found.get(name), trigger.info) for name in trigger.channels}}

    async def _batch(self, hosted: Hosted, body: bytes) -> Mapping[str, Any]:
        batch = parse_object(body, _DEPTH, _VALUES).get("batch")
        if not isinstance(batch, list) or not all(isinstance(event, dict) for event in batch):
            raise InvalidInput("batch must be a list of events")
        if len(batch) > self._settings.batch_events:
            raise TooLarge(f"a batch has at most {self._settings.batch_events} events, got {len(batch)}")
        # All are looked at before the first one is sent.
        triggers = [self._read(event) for event in batch]
        check_signaling(hosted.project)
        for trigger in triggers:
            await self._publish(hosted, trigger)
        if not any(trigger.info for trigger in triggers):
            return {}
        found = await self._census.of(hosted.project.app_id, [trigger.channels[0] for trigger in triggers])
        return {
            "batch": [
                _info(name, found.get(name), trigger.info) for trigger in triggers for name in trigger.channels[:1]
            ]
        }

    def _read(self, event: Mapping[str, Any]) -> Trigger:
        name, data, skip = event.get("name"), event.get("data"), event.get("socket_id")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_EVENT_NAME:
            raise InvalidInput(f"name must be a string of 1 to {MAX_EVENT_NAME} characters")
        if name.startswith(RESERVED):
            raise InvalidInput(
                f"events that begin with {', '.join(RESERVED)} are the protocol's own, got {name[:64]!r}"
            )
        if data is None:
            raise InvalidInput("data is missing; send a string")
        text = data if isinstance(data, str) else json_text(data)
        check_event_size(text, self._settings.event_bytes)
        if skip is not None and not (isinstance(skip, str) and SOCKET_ID.match(skip)):
            raise InvalidInput("socket_id must be that of a connection")
        return Trigger(self._names(event), name, text, skip or "", _attributes(event.get("info")))

    def _names(self, event: Mapping[str, Any]) -> Sequence[str]:
        names = event["channels"] if "channels" in event else [event.get("channel")]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
            raise InvalidInput("channels must be a list of names, or channel a name")
        if len(names) > self._settings.trigger_channels:
            raise TooLarge(f"an event goes to at most {self._settings.trigger_channels} channels, got {len(names)}")
        for name in names:
            if kind_of(name).is_of_engine:
                raise Forbidden(f"{name[:64]!r} carries the engine's events alone; give it a command for this")
        return names

    async def _publish(self, hosted: Hosted, trigger: Trigger) -> None:
        for channel in trigger.channels:
            await self._say(hosted, channel, app_event(channel, trigger.event, trigger.data), trigger.skip)

    async def _say(self, hosted: Hosted, channel: str, frame: Frame, skip: str) -> None:
        await self._bus.publish(topic_of(hosted.project.app_id, channel), as_message(frame, skip))

    # Queries

    async def _channels(self, hosted: Hosted, query: Mapping[str, str]) -> Mapping[str, Any]:
        prefix, info = query.get("filter_by_prefix", ""), _attributes(query.get("info"))
        if "user_count" in info and not prefix.startswith("presence-"):
            raise InvalidInput("only presence channels have a user_count; ask with filter_by_prefix=presence-")
        found = await self._census.beginning_with(hosted.project.app_id, prefix)
        return {"channels": {name: _figures(figures, info) for name, figures in found.items()}}

    async def _channel(self, hosted: Hosted, name: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        info = _attributes(query.get("info"))
        _check_countable(name, info)
        found = await self._census.of(hosted.project.app_id, [name])
        return _info(name, found.get(name), info)

    async def _users(self, hosted: Hosted, name: str) -> Mapping[str, Any]:
        if kind_of(name) is not ChannelKind.PRESENCE:
            raise InvalidInput("only presence channels have users")
        found = (await self._census.of(hosted.project.app_id, [name])).get(name, Figures())
        return {"users": [{"id": user_id} for user_id in found.users]}

    # Users

    async def _terminate(self, hosted: Hosted, user_id: str) -> Mapping[str, Any]:
        if not 1 <= len(user_id) <= MAX_USER_ID:
            raise InvalidInput(f"a user's id has 1 to {MAX_USER_ID} characters")
        await end_connections(self._bus, hosted.project.app_id, user_id)
        return {}


def _check_countable(name: str, info: Sequence[str]) -> None:
    """Raise `InvalidInput` for what is no channel, or has no members to be counted."""
    if kind_of(name) is not ChannelKind.PRESENCE and "user_count" in info:
        raise InvalidInput("only presence channels have a user_count")


def _info(name: str, found: Figures | None, info: Sequence[str]) -> Mapping[str, Any]:
    _check_countable(name, info)
    return {"occupied": found is not None, **_figures(found or Figures(), info)}


def _figures(found: Figures, info: Sequence[str]) -> dict[str, int]:
    known = {"user_count": len(found.users), "subscription_count": found.subscriptions}
    return {name: known[name] for name in info}


def _attributes(info: Any) -> Sequence[str]:
    names = [] if info in (None, "") else str(info).split(",")
    if not set(names) <= set(_INFO):
        raise InvalidInput(f"info may name {' and '.join(_INFO)}")
    return names


def _query_of(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.url.query, keep_blank_values=True)
