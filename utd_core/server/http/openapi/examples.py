"""Examples: what one would send, and what one would get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..operations import Operation
from .schemas import Schema, Schemas

_NOW = 1_767_225_600.0
_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..."

_FIELDS: Mapping[str, Any] = {
    "room": "lobby",
    "room_name": "lobby",
    "id": "01jgfjjkcg4q",
    "call_id": "01jgfjjkcg4q",
    "ban_id": "01jgfjjkcg4q",
    "identity": "ben",
    "sender": "ben",
    "name": "lobby",
    "index": 3,
    "role": "speaker",
    "cursor": "ann",
    "limit": 20,
    "user_token": _TOKEN,
    "token": _TOKEN,
    "url": "wss://media.example.com",
    "ws_url": "wss://rtc.example.com/app/4f1c0d7e",
    "backend": "livekit",
    "caller_identity": "ann",
    "callee_identity": "ben",
    "caller_name": "Ann",
    "callee_name": "Ben",
    "callee_device": "phone",
    "reason": "spam",
    "by": "ann",
    "epoch": "6f9ad2c1",
    "offset": 42,
    "participants": 12,
    "ring_timeout": 30.0,
    "metadata": {"topic": "birds"},
    "joined_at": _NOW,
    "created_at": _NOW,
    "expires_at": _NOW + 60,
}
"""By name; what is not here is the smallest of its type."""

_OF_TYPE: Mapping[str, Any] = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "null": None}

_BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_session": {"identity": "ann", "name": "Ann", "device_id": "phone"},
    "create_room": {"room": "lobby", "type": "audio_room", "owner": "ann", "seat_count": 8, "seat_mode": "request"},
    "join_room": {"room": "lobby", "type": "audio_room", "name": "Ann", "device_id": "phone"},
    "update_metadata": {"metadata": {"topic": "birds"}, "revision": 3},
    "setup_seats": {"seat_count": 12, "seat_mode": "request"},
    "move_seat": {"index": 5},
    "swap_seats": {"first": 0, "second": 3},
    "clear_seat": {"reason": "time is up"},
    "lock_seat": {"take": True, "audio": False, "video": False},
    "unlock_seat": {"take": True},
    "mute_seat": {"audio": True},
    "unmute_seat": {"audio": True},
    "reserve_seat": {"identity": "ben"},
    "make_request": {"kind": "speak", "seat_index": 3},
    "accept_request": {"seat_index": 3},
    "reject_request": {"reason": "later"},
    "cancel_request": {"reason": "changed my mind"},
    "set_role": {"role": "admin"},
    "override_capability": {"capability": "take_seat", "allowed": False},
    "mute_participant": {"audio": True, "video": None},
    "create_ban": {"room": "lobby", "identity": "ben", "reason": "spam", "duration": 3600},
    "start_call": {"type": "video_call", "callee": "ben", "ring_timeout": 30, "metadata": {"subject": "hello"}},
    "reject_call": {"reason": "in a meeting"},
}
_PARAMETERS: Mapping[tuple[str, str], Any] = {
    ("accept_request", "id"): 7,
    ("reject_request", "id"): 7,
    ("cancel_request", "id"): 7,
    ("override_capability", "role"): "audience",
    ("get_stage", "cursor"): f"{_NOW} ann",
    ("list_requests", "cursor"): "0000000000000007",
    ("list_rooms", "cursor"): "lobby",
    ("list_calls", "cursor"): "01jgfjjkcg4q",
}


def body_of(operation: Operation) -> Mapping[str, Any]:
    """A body of this operation; empty where nothing needs to be said."""
    return _BODIES.get(operation.spec.name, {})


def parameter_of(operation: Operation, field: str) -> Any:
    """A value for a field in the path or the query, None where there is none to show."""
    return _PARAMETERS.get((operation.spec.name, field), _FIELDS.get(field))


def answer_of(schema: Schema, schemas: Schemas, name: str = "") -> Any:
    """A value of this schema, of the kind that `name` suggests."""
    schema = schemas.resolved(schema)
    suggested = _FIELDS.get(name)
    if "enum" in schema:
        return suggested if suggested in schema["enum"] else schema.get("default", schema["enum"][0])
    if "anyOf" in schema:
        chosen = schemas.resolved(schema["anyOf"][0])
        nullable = {"type": "null"} in schema["anyOf"] and "properties" not in chosen
        return None if nullable and not _is(chosen.get("type"), suggested) else answer_of(chosen, schemas, name)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return {field: answer_of(inner, schemas, field) for field, inner in schema["properties"].items()}
    if kind == "array":
        return [answer_of(schema["items"], schemas)]
    if _is(kind, suggested):
        return suggested
    if kind == "object":
        return {}
    return schema.get("default", _OF_TYPE.get(str(kind)))


def _is(kind: Any, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return type(value) is int
        case "number":
            return isinstance(value, int | float)
        case "object":
            return isinstance(value, dict)
    return False
