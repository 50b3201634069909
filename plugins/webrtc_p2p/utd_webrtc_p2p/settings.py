"""What an application can say about this backend."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from utd_core.errors import InvalidInput

_HOST = r"(\[[0-9a-fA-F:]{2,45}\]|[0-9A-Za-z.-]{1,253})(:\d{1,5})?"
_STUN = re.compile(rf"stuns?:{_HOST}\Z")
_TURN = re.compile(rf"turns?:{_HOST}(\?transport=(udp|tcp))?\Z")


class Loopback(StrEnum):
    """Whether addresses of the loopback interface become ICE candidates, which browsers and aioice do not offer."""

    AUTO = "auto"
    """Only on a machine that has no other address."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds.

    `stun_urls`, `turn_urls`: `stun:host:port`, `turn:host:port?transport=udp`; none unless given, because a server that
    is silent costs every connection 5 s. `turn_secret`: shared with the TURN server (`static-auth-secret` of coturn);
    each participant gets credentials for `turn_ttl` made from it. `relay_only`: nothing but TURN, hiding addresses.
    `secret`: signs tickets; engines that share rooms share it.
    `path_timeout`: for the way between the two to come up, before its failure is told. `heartbeat`: between two signs
    of life; `heartbeat_timeout`: without one until the way counts as dead. `recovery_timeout`: for a dead way to be
    rebuilt, or a lost signal to come back, before the connection ends with SIGNAL_LOST.
    """

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str | None = field(default=None, repr=False)
    turn_ttl: float = 3_600.0
    relay_only: bool = False
    loopback: Loopback = Loopback.AUTO
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    path_timeout: float = 15.0
    heartbeat: float = 1.0
    heartbeat_timeout: float = 4.0
    recovery_timeout: float = 30.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float) and not 0 < value < float("inf"):
                raise InvalidInput(f"the setting {one.name!r} of webrtc_p2p must be seconds above 0, got {value!r}")
        for name, urls, pattern, example in (
            ("stun_urls", self.stun_urls, _STUN, "stun:stun.example.com:3478"),
            ("turn_urls", self.turn_urls, _TURN, "turn:turn.example.com:3478?transport=udp"),
        ):
            if wrong := [url for url in urls if not pattern.match(url)]:
                raise InvalidInput(f"{name} of webrtc_p2p: {wrong[0]!r} is not like {example}")
        if self.turn_urls and not self.turn_secret:
            raise InvalidInput("turn_urls of webrtc_p2p need turn_secret, the secret that the TURN server has too")
        if self.relay_only and not self.turn_urls:
            raise InvalidInput("relay_only of webrtc_p2p needs turn_urls: without a TURN server there is no way at all")
        if not self.secret:
            raise InvalidInput("the setting 'secret' of webrtc_p2p must not be empty: it signs the tickets")


_SETTINGS = TypeAdapter(Settings)


def read_settings(given: Mapping[str, Any] | None) -> Settings:
    """The settings of a mapping. Raises `InvalidInput` that names the one that is unknown or wrong."""
    given = dict(given or {})
    if unknown := sorted(set(given) - {one.name for one in fields(Settings)}):
        raise InvalidInput(f"webrtc_p2p has no setting {unknown[0]!r}")
    try:
        return _SETTINGS.validate_python(given)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InvalidInput(f"the setting {where!r} of webrtc_p2p is wrong: {problem['msg']}") from None
