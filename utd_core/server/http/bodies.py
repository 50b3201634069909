"""Reads the JSON object of a request, and nothing else: bounded, in UTF-8, each name once, of numbers and text that
exist."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from ...errors import ErrorCode, InvalidInput, TooLarge, UnsupportedMediaType
from ..app_settings import AppSettings

Headers = Mapping[bytes, bytes]
"""By their names in lower case; of one that was sent twice, the last."""

_OPENS, _PARTS = (b"{", b"["), (b",", b":", b"{", b"[")
_HALVES = (b"\\ud", b"\\uD")
"""How JSON begins half a character, which is one only beside its other half."""
_JSON = b"application/json"
_UTF_8 = (b"", b"utf-8", b"utf8")


def has_body(headers: Headers) -> bool:
    """Whether a request announces a body."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def read_object(headers: Headers, receive: Receive, settings: AppSettings) -> dict[str, Any]:
    """The fields of the body; none where it is empty.

    Raises `TooLarge`, `UnsupportedMediaType` or `InvalidInput`; `ClientDisconnect` where nobody waits for an answer.
    """
    whole = await _read(headers, receive, settings.max_body)
    if not whole:
        return {}
    _check_type(headers)
    return parse_object(whole, settings.max_depth, settings.max_values)


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body, whatever it is. Raises `TooLarge`, before it is read where its length was announced, and
    `ClientDisconnect`."""
    return await _read(dict(request.scope["headers"]), request.receive, limit)


async def _read(headers: Headers, receive: Receive, limit: int) -> bytes:
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced[:20]) > limit:
        raise _too_long(limit)
    whole, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        whole = whole + chunk if whole else chunk
        if len(whole) > limit:
            raise _too_long(limit)
        more = message.get("more_body", False)
    return whole


def parse_object(whole: bytes, max_depth: int, max_values: int) -> dict[str, Any]:
    """The JSON object. Raises `InvalidInput` (invalid_json) or `TooLarge`."""
    try:
        found = _DECODER.decode(whole.decode())
    except RecursionError:
        raise _too_deep(max_depth) from None
    except UnicodeDecodeError:
        raise _invalid("is not in UTF-8; encode it so") from None
    except json.JSONDecodeError as error:
        raise _invalid(f"is no JSON ({error.msg} at {error.pos}); send one object") from None
    except ValueError:
        raise _invalid("holds a number that is too long; send it as a string") from None
    if not isinstance(found, dict):
        raise _invalid("is no JSON object; send the fields by name")
    # Most bodies are small, and their brackets and commas say so without a walk.
    if sum(map(whole.count, _OPENS)) > max_depth or sum(map(whole.count, _PARTS)) >= max_values:
        _check_size(found, max_depth, max_values)
    if any(half in whole for half in _HALVES):
        _check_text(found)
    return found


def _check_type(headers: Headers) -> None:
    declared = headers.get(b"content-type", b"")
    if declared != _JSON:
        kind, _, parameters = declared.lower().partition(b";")
        if kind.strip() != _JSON or parameters.partition(b"charset=")[2].strip(b' "') not in _UTF_8:
            raise UnsupportedMediaType(
                "the body is not declared as JSON; send content-type: application/json, in UTF-8"
            )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("the body is compressed; send it as it is")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _invalid(f"names {twice[:64]!r} twice; name each field once")
    return fields


def _no_number(constant: str) -> NoReturn:
    raise _invalid(f"holds {constant}, which is no JSON; leave the field out, or send null")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)


def _check_text(found: Any) -> None:
    """Raise `InvalidInput` where a string has half a character, which neither a store nor a socket can write down."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _invalid("holds half of a surrogate pair, which is no text; send whole characters") from None


def _check_size(value: Any, max_depth: int, max_values: int) -> None:
    """Level by level, so that nothing is as deep as the value."""
    level: list[Any] = [value]
    count = depth = 0
    while level:
        depth += 1
        count += len(level)
        if count > max_values:
            raise TooLarge(f"the body holds more than {max_values} values; send less at once")
        if depth > max_depth and any(isinstance(value, dict | list) for value in level):
            raise _too_deep(max_depth)
        level = [inner for outer in level for inner in _inside(outer)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_long(limit: int) -> TooLarge:
    return TooLarge(f"a body may have {limit} bytes; send less at once", details={"max_bytes": limit})


def _too_deep(limit: int) -> InvalidInput:
    return _invalid(f"nests deeper than {limit} levels; flatten it")


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput(f"the body {problem}", code=ErrorCode.INVALID_JSON)
