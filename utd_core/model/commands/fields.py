"""Field types that several commands share, with their bounds."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from ...errors import ErrorCode, InvalidInput, TooLarge
from ..identifiers import MAX_ENTITY_ID, MAX_METADATA_BYTES, check_text
from ..seats import MAX_SEATS, MIN_SEATS

MAX_DEPTH = 16


def _check_any_index(value: Any) -> int | Literal["any"]:
    return "any" if value == "any" else _check_index(value)


def _check_index(value: Any) -> int:
    if type(value) is not int:
        raise InvalidInput(f"seat index must be a whole number, got {type(value).__name__}; seats count from 0")
    if not 0 <= value < MAX_SEATS:
        raise InvalidInput(f"seat index must be 0 to {MAX_SEATS - 1}", code=ErrorCode.SEAT_OUT_OF_RANGE)
    return value


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"metadata must be plain JSON: {error}") from None
    if len(text) > MAX_METADATA_BYTES:
        raise TooLarge(
            f"metadata may be {MAX_METADATA_BYTES} bytes of JSON, got {len(text)}; store it elsewhere, keep a key"
        )
    # The copy that JSON makes is the one that is kept: what is stored is what was checked.
    copy: dict[str, Any] = json.loads(text)
    if _depth(copy) > MAX_DEPTH:
        raise InvalidInput(f"metadata may nest at most {MAX_DEPTH} levels; flatten it")
    return copy


SeatIndex = Annotated[
    int, PlainValidator(_check_index), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_SEATS - 1})
]
AnySeatIndex = Annotated[
    int | Literal["any"],
    PlainValidator(_check_any_index),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_SEATS - 1}, {"const": "any", "type": "string"}]}
    ),
]
SeatCount = Annotated[int, Field(ge=MIN_SEATS, le=MAX_SEATS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_check_metadata)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Limit = Annotated[int, Field(ge=1, le=100)]
EntityId = Annotated[str, BeforeValidator(check_text), Field(min_length=1, max_length=MAX_ENTITY_ID)]
Cursor = Annotated[str, BeforeValidator(check_text), Field(max_length=512)]
