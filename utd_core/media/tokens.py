"""Join tokens: claims signed with a secret, so that no half need remember the ones that were given out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from utd_core.errors import ConnectFailed
from utd_core.media.attributes import Attributes
from utd_core.model.permission import Grant, TrackSource

from .profiles import Profile


@dataclass(frozen=True, slots=True)
class Claims:
    """Who may join which room, with what grant, until when (seconds since the Unix epoch)."""

    room: str
    identity: str
    profile: Profile
    grant: Grant
    expires_at: float


class TokenSigner:
    """Signs and reads tokens with a secret that never leaves the control half."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def sign(self, claims: Claims) -> str:
        """An opaque string that only who has the secret makes."""
        grant = claims.grant
        body = json.dumps(
            [
                claims.room,
                claims.identity,
                claims.profile.name,
                [grant.subscribe, sorted(grant.publish), grant.publish_data],
                claims.expires_at,
                claims.profile.metadata,
                dict(claims.profile.attributes),
            ],
            ensure_ascii=False,
        ).encode()
        return f"{_encode(body)}.{_encode(self._signature(body))}"

    def read(self, token: str, now: float | None) -> Claims:
        """The claims. Raises `ConnectFailed` (details: `reason`) where they are forged, or have expired by `now`."""
        try:
            body, signature = (_decode(part) for part in token.split("."))
        except (ValueError, binascii.Error):
            raise refusal("this is not a token of webrtc_p2p; use the one of issue_join", "bad_token") from None
        if not hmac.compare_digest(signature, self._signature(body)):
            raise refusal("the token was not signed here; use the ticket's own url and token", "bad_token")
        room, identity, name, (subscribe, publish, publish_data), expires_at, metadata, attributes = json.loads(body)
        if now is not None and now >= expires_at:
            raise refusal(f"the token expired {now - expires_at:.3f} s ago; ask for a new ticket", "token_expired")
        grant = Grant(subscribe, frozenset(TrackSource(source) for source in publish), publish_data)
        return Claims(room, identity, Profile(name, metadata, Attributes(attributes)), grant, expires_at)

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)


def refusal(message: str, reason: str) -> ConnectFailed:
    """Why somebody does not come in, with a word for programs."""
    return ConnectFailed(message, details={"reason": reason})


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode()


def _decode(part: str) -> bytes:
    return base64.b64decode(part.encode(), altchars=b"-_", validate=True)
