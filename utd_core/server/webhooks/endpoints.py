"""Where a project's events go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ...errors import InvalidInput
from ...model.event import EVENTS
from .signatures import MOST_SECRETS

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_MOST_URL = 2_048
_SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """A URL of the application that is told what happens.

    `name` stays, whatever else changes: what waits, waits for it. `secrets`: one that signs; two while it is changed.
    `types`: the events that it is told ("room_ended"), a star at the end for all that begin so ("seat_*"); none for
    every one. Raises `InvalidInput`.
    """

    name: str
    url: str = field(repr=False)  # it may hold a token
    secrets: tuple[str, ...] = field(repr=False)
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise InvalidInput(f"a webhook's name is 1 to 64 of A-Z a-z 0-9 _ . -, got {self.name!r:.80}")
        _check_url(self.name, self.url)
        if not self.secrets or any(len(secret) < _SHORTEST_SECRET for secret in self.secrets):
            raise InvalidInput(f"webhook {self.name!r} needs secrets of {_SHORTEST_SECRET} characters at least")
        if len(self.secrets) > MOST_SECRETS:
            raise InvalidInput(f"webhook {self.name!r} has {len(self.secrets)} secrets; give {MOST_SECRETS} at most")
        for pattern in self.types:
            if not any(_fits(pattern, type) for type in EVENTS):
                raise InvalidInput(f"webhook {self.name!r} wants {pattern!r:.80}, which is no type of event")

    def wants(self, type: str) -> bool:
        return not self.types or any(_fits(pattern, type) for pattern in self.types)


def _fits(pattern: str, type: str) -> bool:
    return type.startswith(pattern[:-1]) if pattern.endswith("*") else type == pattern


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        is_one = False
    # A password there would be sent as a header, and shown wherever the URL is.
    if not is_one or len(url) > _MOST_URL or "@" in parts.netloc or parts.fragment or not url.isprintable():
        raise InvalidInput(f"webhook {name!r} needs a URL (https://host/path) without a user and a fragment")
