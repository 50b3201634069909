"""What a well-formed identity, room name, device id and text is.

- An identity or a room name is 1 to 128 characters, printable, without outer blanks. Letters of any script
  and emoji are fine; control characters, line breaks, invisible direction marks and fillers are not.
- No name looks like another by hiding something: a zero-width joiner stands only where scripts and emoji need it,
  between two characters that are not ASCII; a variation selector only behind what it varies (emoji, ideographs,
  Mongolian letters); and text is in Unicode's normal form C, so that there is one way to write "é".
- A name that begins with `$` is reserved: `$server` is the application's own server, `$system` the engine. So is a
  room name that begins with `call:`, as the media rooms of calls do.
- A device id is 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.
- An app id, which names a project, is 1 to 63 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..errors import ErrorCode, InvalidInput

MAX_NAME = 128
MAX_DEVICE = 64
MAX_ENTITY_ID = 64
"""Of a call, request or ban."""
MAX_APP_ID = 63
MAX_MEDIA_NAME = MAX_NAME + 1 + MAX_DEVICE
"""Of a room or participant on the media plane, where the longest identity may be on the longest device, and the longest
room in a project of the longest app id (with two characters between them)."""
MAX_DISPLAY_NAME = 256
MAX_REASON = 512
MAX_METADATA_BYTES = 65_536

CALL_PREFIX = "call:"

SERVER = "$server"
SYSTEM = "$system"

# Joiners that emoji and several scripts need, though Unicode calls them format characters.
_JOINERS = frozenset("\u200c\u200d")
# Letters and marks that show as nothing, which no name needs.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_KEYCAP = "\u20e3"
_ALSO_EMOJI = frozenset("\u203c\u2049\u2194\u25fb\u25fc\u25fd\u25fe\u3030\u303d")
"""Emoji that Unicode does not count among the symbols "So"."""
_MONGOLIAN_SELECTORS = frozenset("\u180b\u180c\u180d\u180f")
DEFAULT_PROJECT = "embedded"
"""The app id of an engine that nobody gave another one."""

_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_DEVICE = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")


def _printable(value: str) -> bool:
    if value.isprintable():
        return True
    return all(ch.isprintable() or ch in _JOINERS or unicodedata.category(ch) == "Zs" for ch in value)


def _hides_something(value: str) -> bool:
    """Whether two names that look the same could differ in this."""
    if value.isascii():
        return False
    padded = f" {value} "
    return not _FILLERS.isdisjoint(value) or any(
        (here in _JOINERS and any(near.isascii() or near in _JOINERS for near in (before, after)))
        or _varies_nothing(before, here, after)
        for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    )


def _varies_nothing(before: str, here: str, after: str) -> bool:
    """Whether `here` is a variation selector that has no effect where it stands."""
    if "\ufe00" <= here <= "\ufe0f":
        return unicodedata.category(before) != "So" and after != _KEYCAP and before not in _ALSO_EMOJI
    if "\U000e0100" <= here <= "\U000e01ef":
        return unicodedata.category(before) != "Lo"
    return here in _MONGOLIAN_SELECTORS and not "\u1820" <= before <= "\u18aa"


def check_media_name(value: Any, what: str, code: ErrorCode) -> str:
    """A name as media backends take it, where none is reserved: the name itself, or `InvalidInput` with `code`.

    `what` is named, in words: "identity", "room name".
    """
    return _well_formed(value, what, code, MAX_MEDIA_NAME)


def _well_formed(value: Any, what: str, code: ErrorCode, limit: int) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be a string, got {type(value).__name__}", code=code)
    if not 1 <= len(value) <= limit:
        raise InvalidInput(f"{what} must have 1 to {limit} characters, got {len(value)}", code=code)
    if value.isascii() and value.isprintable() and " " not in (value[0], value[-1]):
        # The usual name, on the way of every command.
        return value
    if value != value.strip() or not _printable(value) or _hides_something(value):
        raise InvalidInput(
            f"{what} must not hold control characters, invisible ones or outer blanks: {value[:32]!r}", code=code
        )
    if not unicodedata.is_normalized("NFC", value):
        raise InvalidInput(
            f"{what} must be in Unicode normal form C; use unicodedata.normalize('NFC', ...): {value[:32]!r}", code=code
        )
    return value


def _check(value: Any, what: str, code: ErrorCode) -> str:
    name = _well_formed(value, what, code, MAX_NAME)
    if name[0] == "$":
        raise InvalidInput(f"{what} must not begin with '$'; that is reserved: {name[:32]!r}", code=code)
    return name


def check_identity(value: Any) -> str:
    """The identity itself, or `InvalidInput` (invalid_identity)."""
    return _check(value, "identity", ErrorCode.INVALID_IDENTITY)


def check_room_name(value: Any) -> str:
    """The room name itself, or `InvalidInput` (invalid_name)."""
    name = _check(value, "room name", ErrorCode.INVALID_NAME)
    if name.startswith(CALL_PREFIX):
        raise InvalidInput(
            f"room name must not begin with {CALL_PREFIX!r}; that is reserved: {name[:32]!r}",
            code=ErrorCode.INVALID_NAME,
        )
    return name


def check_device(value: Any) -> str:
    """The device id itself, or `InvalidInput`."""
    if not isinstance(value, str) or not _DEVICE.match(value):
        raise InvalidInput(f"device id must be 1 to {MAX_DEVICE} characters of A-Z a-z 0-9 . _ : -, got {value!r:.80}")
    return value


def check_app_id(value: Any) -> str:
    """The app id itself, or `InvalidInput`."""
    if not isinstance(value, str) or not _APP_ID.match(value):
        raise InvalidInput(
            f"an app id is 1 to {MAX_APP_ID} characters of A-Z a-z 0-9 . _ -, the first a letter or digit, "
            f"got {value!r:.80}"
        )
    return value


def media_identity(identity: str, device: str) -> str:
    """How the media plane names one device of an identity, in a room where an identity may be on many."""
    return f"{identity}#{device}"


def split_media_identity(name: str) -> tuple[str, str]:
    """The (identity, device) that such a name stands for; whatever is no such name is an identity without a device."""
    # A device id holds no "#", so the last one divides.
    identity, _, device = name.rpartition("#")
    return (identity, device) if identity else (name, "")


def check_text(value: Any) -> str:
    """Free text for people (names, reasons): a string without control characters; may be empty."""
    if not isinstance(value, str):
        raise InvalidInput(f"text must be a string, got {type(value).__name__}")
    if not _printable(value):
        raise InvalidInput(f"text must not hold control characters: {value[:32]!r}")
    return value


def _schema(limit: int, low: int = 1) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": low, "maxLength": limit})


Identity = Annotated[str, BeforeValidator(check_identity), _schema(MAX_NAME)]
RoomName = Annotated[str, BeforeValidator(check_room_name), _schema(MAX_NAME)]
DeviceId = Annotated[str, BeforeValidator(check_device), _schema(MAX_DEVICE)]
DisplayName = Annotated[str, BeforeValidator(check_text), Field(max_length=MAX_DISPLAY_NAME)]
Reason = Annotated[str, BeforeValidator(check_text), Field(max_length=MAX_REASON)]
