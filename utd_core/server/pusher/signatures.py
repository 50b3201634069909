"""Signatures of the protocol: HMAC-SHA256 with a project's secret, as hex.

| what | what is signed |
|---|---|
| following a channel | `socket_id:channel`, or `socket_id:channel:channel_data` |
| signing in | `socket_id::user::user_data` |
| an HTTP request | method, path and sorted query, one per line; the query holds the body's MD5 and the time |

- All are compared in constant time, with every secret that the project accepts at the moment.
- A signature for a socket is worth nothing on another one, and nothing when that one is gone.
- A request can be sent again by whoever saw it, for as long as its time is near ours (`skew`), and changes nothing then
  that the first one did not.
- The parts are joined by colons. Names of the application's channels hold none, nor `%`. Rooms may, so a colon is
  signed as `%3A` and `%` as `%25`: nobody finds a room's name that reads as another channel and its data.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from ...errors import Unauthenticated
from ..projects import Project

SOCKET_ID = re.compile(r"\d{1,20}\.\d{1,20}\Z", re.ASCII)
_VERSION = "1.0"


def channel_text(socket_id: str, channel: str, channel_data: str | None = None) -> str:
    """What is signed to let a socket follow a channel."""
    name = channel.replace("%", "%25").replace(":", "%3A")
    return f"{socket_id}:{name}" if channel_data is None else f"{socket_id}:{name}:{channel_data}"


def user_text(socket_id: str, user_data: str) -> str:
    """What is signed to sign a user in on a socket."""
    return f"{socket_id}::user::{user_data}"


def request_text(method: str, path: str, query: Mapping[str, str]) -> str:
    """What is signed to have a request carried out; `query` without `auth_signature`, its names in lower case."""
    return "\n".join((method.upper(), path, "&".join(f"{name}={query[name]}" for name in sorted(query))))


def sign(secret: str, text: str) -> str:
    """The signature, 64 hex digits."""
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def credential(project: Project, text: str) -> str:
    """`key:signature`, made with the secret that signs."""
    return f"{project.key}:{sign(project.secret, text)}"


def check_credential(project: Project, auth: str, text: str) -> None:
    """Raise `Unauthenticated` unless `auth` is this project's `key:signature` of the text."""
    key, _, signature = auth.rpartition(":")
    # Both are looked at, whatever the first says.
    if not all([project.has_key(key), _is_signed(project, text, signature)]):
        raise Unauthenticated("the signature does not fit; sign with this project's secret, for this very socket")


def check_request(
    project: Project, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes, now: float, skew: float
) -> None:
    """Raise `Unauthenticated` unless the query signs the request.

    `path` is the decoded one, from `/apps` on. `now` and `skew` in seconds.
    """
    given = {name.lower(): value for name, value in query}
    if len(given) != len(query):
        raise Unauthenticated("a parameter is given twice; give each once")
    signature = given.pop("auth_signature", "")
    if given.get("auth_version") != _VERSION:
        raise Unauthenticated(f"auth_version must be {_VERSION}")
    if not all(
        [project.has_key(given.get("auth_key", "")), _is_signed(project, request_text(method, path, given), signature)]
    ):
        raise Unauthenticated("the signature does not fit; sign method, path and query with this project's secret")
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    if (body or "body_md5" in given) and not hmac.compare_digest(given.get("body_md5", "").encode(), digest.encode()):
        raise Unauthenticated("body_md5 is not the MD5 of this body")
    sent_at = given.get("auth_timestamp", "")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 20):
        raise Unauthenticated("auth_timestamp must be the time in seconds since 1970")
    if abs(now - int(sent_at)) > skew:
        raise Unauthenticated(
            f"auth_timestamp is {now - int(sent_at):.0f} s from the time here, {skew:.0f} are allowed; set the clock"
        )


def _is_signed(project: Project, text: str, signature: str) -> bool:
    given = signature.encode()
    # All are looked at, so the time does not tell which one fits.
    return sum(hmac.compare_digest(given, sign(secret, text).encode()) for secret in project.secrets) > 0
