"""The backend's settings, checked where they come in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from utd_core.errors import InvalidInput
from utd_core.media.checks import is_number

from .server.local import LocalServer

_SCHEMES = frozenset({"ws", "wss", "http", "https"})


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """`url`, `api_key`, `api_secret`: of the server; by default what LIVEKIT_URL, LIVEKIT_API_KEY and
    LIVEKIT_API_SECRET say. Without them there is no control half, and tickets from elsewhere still connect.

    `public_url`: where participants reach the server, if that is another address. `webhooks`: `host:port` to listen on
    for what the server tells; without it the application hands on what it receives (`LiveKitControl.receive`).
    `prefix`: what every room's name begins with on a server that others use too. `timeout`: seconds for one request.
    `local`: start a server on loopback that lives as long as the backend, instead of using one. `server`: the
    `LocalServer` at `url`, so that faults can be produced on it. `faults`: what participants signal goes through wires
    that can break, so that an outage lasts as long as is asked for and a ticket can run out, and media to a
    `LocalServer` take a way that can be bad; only where signalling goes without TLS.
    """

    url: str = ""
    api_key: str = ""
    api_secret: str = field(default="", repr=False)
    public_url: str = ""
    webhooks: str = ""
    prefix: str = ""
    timeout: float = 10.0
    local: bool = False
    server: LocalServer | None = None
    faults: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> LiveKitSettings:
        """From an application's settings. Raises `InvalidInput`."""
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise InvalidInput(f"livekit has no setting {unknown[0]!r}; it takes {', '.join(sorted(known))}")
        if "url" in given or given.get("local"):
            settings = cls(**given)
        else:
            environment = {name: os.environ.get(f"LIVEKIT_{name.upper()}", "") for name in _ENVIRONMENT}
            settings = cls(**{**environment, **given})
        settings.check()
        return settings

    def check(self) -> None:
        """Raises `InvalidInput`."""
        for name in ("url", "api_key", "api_secret", "public_url", "webhooks", "prefix"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise InvalidInput(f"livekit's setting {name!r} must be a string, got {type(value).__name__}")
        for name in ("url", "public_url"):
            _check_url(name, getattr(self, name))
        if self.url and not (self.api_key and self.api_secret):
            raise InvalidInput("livekit's setting 'url' comes with 'api_key' and 'api_secret', as the server has them")
        if self.webhooks:
            listen_address(self.webhooks)
        for name in ("local", "faults"):
            if not isinstance(value := getattr(self, name), bool):
                raise InvalidInput(f"livekit's setting {name!r} must be true or false, got {value!r}")
        if self.local and (self.url or self.server is not None or self.webhooks):
            raise InvalidInput("livekit's setting 'local' comes without 'url', 'webhooks' and 'server'")
        if not is_number(self.timeout) or self.timeout <= 0:
            raise InvalidInput(f"livekit's setting 'timeout' must be seconds above 0, got {self.timeout!r}")
        if self.server is not None and not isinstance(self.server, LocalServer):
            raise InvalidInput(f"livekit's setting 'server' must be a LocalServer, got {type(self.server).__name__}")
        if self.faults and not self.local and not self.is_plain:
            raise InvalidInput("livekit's setting 'faults' comes with 'local', or with a 'url' without TLS (ws)")

    @property
    def is_plain(self) -> bool:
        """Whether signalling goes to `url` without TLS."""
        return urlsplit(self.url).scheme in ("ws", "http")

    @property
    def has_control(self) -> bool:
        return bool(self.url)


_ENVIRONMENT = ("url", "api_key", "api_secret")


def listen_address(text: str) -> tuple[str, int]:
    """(host, port) of `host:port`. Raises `InvalidInput`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InvalidInput(f"livekit's setting 'webhooks' is a host and a port, as in 127.0.0.1:8081, got {text!r}")
    return host.strip("[]"), int(port)


def _check_url(name: str, value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InvalidInput(f"livekit's setting {name!r} must be a URL as in wss://livekit.example, got {value[:80]!r}")
