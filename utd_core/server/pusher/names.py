"""Names of channels, and what a name says about who may do what there.

| name | who may follow | client events |
|---|---|---|
| `private-room.`, `private-user.` | whom the engine admits | no |
| `private-call.` | whom the engine admits: the two parties | yes |
| `presence-` | who has a signature, and says who they are | yes |
| `private-encrypted-` | who has a signature | no: the server cannot read them, and so cannot vouch for them |
| `private-` | who has a signature | yes |
| `#server-to-user-` | that user, signed in | no |
| any other | everybody | no |
"""

from __future__ import annotations

import re
from enum import Enum, auto

from ...errors import InvalidInput
from ...model.channels import call_channel, room_channel, user_channel

MAX_CHANNEL = 200
SERVER_TO_USER = "#server-to-user-"

_APP_CHANNEL = re.compile(r"[-a-zA-Z0-9_=@,.;]{1,200}\Z")
_ENGINE = (room_channel(""), call_channel(""), user_channel(""))
_CACHED = ("cache-", "private-cache-", "presence-cache-", "private-encrypted-cache-")


class ChannelKind(Enum):
    """What a channel is; the table above has a line for each."""

    ENGINE = auto()
    CALL = auto()
    PRESENCE = auto()
    ENCRYPTED = auto()
    PRIVATE = auto()
    SERVER_TO_USER = auto()
    PUBLIC = auto()

    @property
    def is_of_engine(self) -> bool:
        """Whether it carries the engine's events, and the engine says who may follow."""
        return self in (ChannelKind.ENGINE, ChannelKind.CALL)

    @property
    def is_signed(self) -> bool:
        """Whether following it needs a signature of the project's secret."""
        return self in (ChannelKind.PRESENCE, ChannelKind.ENCRYPTED, ChannelKind.PRIVATE)

    @property
    def talks(self) -> bool:
        """Whether those who follow it may send client events."""
        return self in (ChannelKind.CALL, ChannelKind.PRESENCE, ChannelKind.PRIVATE)


def kind_of(channel: str) -> ChannelKind:
    """What a channel of this name is. Raises `InvalidInput` where the name is none."""
    if channel.startswith(_ENGINE):
        if len(channel) > MAX_CHANNEL:
            raise InvalidInput(f"a channel's name has at most {MAX_CHANNEL} characters, got {len(channel)}")
        return ChannelKind.CALL if channel.startswith(call_channel("")) else ChannelKind.ENGINE
    plain = channel.removeprefix(SERVER_TO_USER)
    if not _APP_CHANNEL.match(plain):
        raise InvalidInput(
            f"a channel's name has 1 to {MAX_CHANNEL} characters of A-Z a-z 0-9 _ - = @ , . ; got {channel[:64]!r}"
        )
    if channel.startswith(_CACHED):
        raise InvalidInput(f"there are no cache channels here, and {channel[:64]!r} is named like one")
    if plain is not channel:
        return ChannelKind.SERVER_TO_USER
    if channel.startswith("presence-"):
        return ChannelKind.PRESENCE
    if channel.startswith("private-encrypted-"):
        return ChannelKind.ENCRYPTED
    return ChannelKind.PRIVATE if channel.startswith("private-") else ChannelKind.PUBLIC
