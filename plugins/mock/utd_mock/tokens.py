"""Join tokens: claims signed by the server, so that it need not remember the ones it gave out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from utd_core.errors import ConnectFailed
from utd_core.media.attributes import NO_ATTRIBUTES, Attributes
from utd_core.model.permission import Grant, TrackSource


@dataclass(frozen=True, slots=True)
class Claims:
    """Who may join which room, with what grant, until when (seconds since the Unix epoch)."""

    room: str
    identity: str
    name: str
    grant: Grant
    expires_at: float
    metadata: str = ""
    attributes: Mapping[str, str] = NO_ATTRIBUTES


class TokenSigner:
    """Signs and reads tokens with a secret that never leaves the server."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def sign(self, claims: Claims) -> str:
        """An opaque string that only this signer makes."""
        grant = claims.grant
        body = json.dumps(
            [
                claims.room,
                claims.identity,
                claims.name,
                [grant.subscribe, sorted(grant.publish), grant.publish_data],
                claims.expires_at,
                claims.metadata,
                dict(claims.attributes),
            ]
        ).encode()
        return f"{_encode(body)}.{_encode(self._signature(body))}"

    def read(self, token: str, now: float) -> Claims:
        """The claims. Raises `ConnectFailed` (details: `reason`) for a token that is forged or has expired."""
        try:
            body, signature = (_decode(part) for part in token.split("."))
        except (AttributeError, ValueError, binascii.Error):
            raise _refusal("this is not a token of the mock; use the one of issue_join", "bad_token") from None
        if not hmac.compare_digest(signature, self._signature(body)):
            raise _refusal(
                "the token was not signed by this server; use the ticket's own url and token, in the process of the "
                "engine that made them: the mock's media is in its memory",
                "bad_token",
            )
        room, identity, name, (subscribe, publish, publish_data), expires_at, metadata, attributes = json.loads(body)
        if now >= expires_at:
            raise _refusal(f"the token expired {now - expires_at:.3f} s ago; ask for a new ticket", "token_expired")
        grant = Grant(subscribe, frozenset(TrackSource(source) for source in publish), publish_data)
        return Claims(room, identity, name, grant, expires_at, metadata, Attributes(attributes))

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)


def _refusal(message: str, reason: str) -> ConnectFailed:
    return ConnectFailed(message, details={"reason": reason})


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode()


def _decode(part: str) -> bytes:
    return base64.b64decode(part.encode(), altchars=b"-_", validate=True)
