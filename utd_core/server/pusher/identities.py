"""Who a client is: read from what was signed for it, and written to be signed.

Everything here is either signed by the project's secret or a user token of the engine; that is checked before.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from math import inf
from sys import float_info
from typing import Any

from pydantic_core import from_json

from ...errors import InvalidInput
from ...model.command import Actor
from ...model.identifiers import MAX_DISPLAY_NAME, check_device, check_identity
from ..projects import HostedEngine
from .frames import json_text
from .presence import MAX_USER_ID
from .protocol import read_object
from .socket import User

_DEVICE = "default"


def user_of_token(engine: HostedEngine, token: str) -> User:
    """Raises `Unauthenticated`."""
    actor = engine.actor_of(token)
    return User(actor.identity, user_data(actor), _info(actor), actor, expiry_of(token))


def user_of_data(text: str) -> User:
    """Who signed `user_data` says it is. Raises `InvalidInput`."""
    data = read_object(text, "user_data")
    id, info = data.get("id"), data.get("user_info")
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_USER_ID:
        raise InvalidInput(f"user_data must hold an id of 1 to {MAX_USER_ID} characters")
    try:
        actor = _actor(id, info)
    except InvalidInput:
        # A user of the application's, who can be nobody in a room.
        actor = None
    return User(id, text, info, actor, _good_until(data))


def actor_of_data(text: str) -> tuple[Actor, float]:
    """Who signed `channel_data` says somebody is, and until when that holds. Raises `InvalidInput`."""
    data = read_object(text, "channel_data")
    return _actor(data.get("user_id"), data.get("user_info")), _good_until(data)


def user_data(actor: Actor, good_until: float = inf) -> str:
    """What to sign so that a socket is the actor's."""
    return json_text({"id": actor.identity, "user_info": _info(actor), **_limit(good_until)})


def channel_data(actor: Actor, good_until: float = inf) -> str:
    """What to sign so that a socket follows a channel as the actor."""
    return json_text({"user_id": actor.identity, "user_info": _info(actor), **_limit(good_until)})


def expiry_of(token: str) -> float:
    """When a token that was found good expires, in seconds since the Unix epoch."""
    claims = token.split(".")[1]
    return float(from_json(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])


def _actor(identity: Any, info: Any) -> Actor:
    known = info if isinstance(info, dict) else {}
    name = known.get("name", "")
    return Actor(
        check_identity(identity),
        check_device(known.get("device", _DEVICE)),
        name[:MAX_DISPLAY_NAME] if isinstance(name, str) else "",
    )


def _info(actor: Actor) -> dict[str, str]:
    return {"name": actor.name, "device": actor.device}


def _limit(good_until: float) -> dict[str, float]:
    return {} if good_until == inf else {"good_until": good_until}


def _good_until(data: dict[str, Any]) -> float:
    if "good_until" not in data:
        return inf
    value = data["good_until"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= float_info.max:
        raise InvalidInput("good_until must be a time in seconds since 1970")
    return float(value)
