"""Where a client has its subscriptions and its sign-in signed, when the application has no server of its own for that.

| | |
|---|---|
| `POST /api/v1/channels/auth` | `socket_id`, `channel_name`: answers `auth` and `channel_data` |
| `POST /api/v1/channels/user-auth` | `socket_id`: answers `auth` and `user_data` |

The body is a form, as stock clients send it, or JSON. A user (a bearer) gets channels of the engine that it may follow,
as itself: who it is is signed along with the channel, so that the right ends when the engine says so. The project's
secret gets whatever it asks for, with the `channel_data` or `user_data` that it brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from ...errors import Forbidden, InvalidInput
from ..callers import Caller, Credential, caller_of
from ..features import check_signaling
from ..http.bodies import parse_object, read_bytes
from ..http.rates import Rates
from ..projects import Host
from .identities import actor_of_data, channel_data, expiry_of, user_data, user_of_data
from .names import ChannelKind, kind_of
from .presence import read_member
from .settings import PusherSettings
from .signatures import SOCKET_ID, channel_text, credential, user_text

_MOST_BYTES = 32_768
_DEPTH, _VALUES = 4, 100


class AuthApi:
    """Signs for those who show who they are. `rates`: the project's is taken from, as by triggers; not the identity's,
    as a stock client that follows many channels has each of them signed at once."""

    def __init__(self, host: Host, settings: PusherSettings, rates: Rates) -> None:
        self._host = host
        self._settings = settings
        self._rates = rates

    async def channel(self, request: Request) -> Mapping[str, str]:
        """Let a socket follow a channel. Raises what the engine refuses it with, `Unauthenticated`, `InvalidInput`."""
        caller = await self._caller(request)
        fields = await _fields(request)
        socket_id, channel = _socket_id(fields), _text(fields, "channel_name")
        kind = kind_of(channel)
        if not kind.is_of_engine:
            check_signaling(caller.hosted.project)
        if caller.credential is Credential.SECRET:
            data = self._given_data(kind, fields.get("channel_data"))
        elif kind.is_of_engine:
            admission = await caller.hosted.engine.admit(channel, _ended, actor=caller.actor)
            caller.hosted.engine.dismiss(admission)
            data = channel_data(caller.actor, _expiry(request))
        else:
            raise Forbidden(f"{channel[:64]!r} is the application's own channel; its server signs for it")
        signed = {"auth": credential(caller.hosted.project, channel_text(socket_id, channel, data))}
        return signed if data is None else {**signed, "channel_data": data}

    async def user(self, request: Request) -> Mapping[str, str]:
        """Sign a user in on a socket. Raises `Unauthenticated`, `Forbidden` or `InvalidInput`."""
        caller = await self._caller(request)
        fields = await _fields(request)
        socket_id = _socket_id(fields)
        if caller.credential is Credential.SECRET:
            data = _text(fields, "user_data")
            user_of_data(data)
        else:
            data = user_data(caller.actor, _expiry(request))
        return {"auth": credential(caller.hosted.project, user_text(socket_id, data)), "user_data": data}

    async def _caller(self, request: Request) -> Caller:
        caller = await caller_of(self._host, request.headers)
        if caller.credential is Credential.KEY:
            raise Forbidden("the publishable key signs nothing; send a user token")
        self._rates.admit_request(caller.hosted)
        return caller

    def _given_data(self, kind: ChannelKind, data: Any) -> str | None:
        """What the application's server says of a socket. Raises `InvalidInput`."""
        if not (data is None or isinstance(data, str)):
            raise InvalidInput("channel_data must be JSON in a string")
        if kind.is_of_engine:
            actor_of_data(data or "{}")
        elif kind is ChannelKind.PRESENCE:
            read_member(data or "{}", self._settings.member_bytes)
        return data


def _ended(error: Exception | None) -> None:
    """Nobody follows yet: the right is looked at again when the socket subscribes."""


def _expiry(request: Request) -> float:
    _, _, token = request.headers.get("authorization", "").partition(" ")
    return expiry_of(token.strip()) if token else inf


async def _fields(request: Request) -> Mapping[str, Any]:
    body = await read_bytes(request, _MOST_BYTES)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return parse_object(body, _DEPTH, _VALUES)


def _socket_id(fields: Mapping[str, Any]) -> str:
    socket_id = _text(fields, "socket_id")
    if not SOCKET_ID.match(socket_id):
        raise InvalidInput("socket_id must be that of a connection")
    return socket_id


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string")
    return value
