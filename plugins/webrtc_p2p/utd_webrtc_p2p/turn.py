"""Credentials of a TURN server that end by themselves.

The scheme of draft-uberti-behave-turn-rest, which coturn calls `use-auth-secret`: the user name says until when it is
good, the password proves that somebody with the secret has written it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnCredentials:
    username: str
    password: str


def turn_credentials(secret: str, identity: str, expires_at: float) -> TurnCredentials:
    """Credentials of `identity` until `expires_at` (seconds since the Unix epoch)."""
    # The identity is any printable text, and a colon or a line break in a user name means something to TURN servers.
    whose = hashlib.sha256(identity.encode()).hexdigest()[:16]
    username = f"{int(expires_at)}:{whose}"
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return TurnCredentials(username, base64.b64encode(digest).decode())
