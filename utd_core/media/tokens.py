"""Join tokens of a backend that lets people in itself: claims under a signature, so that it need not remember the
tokens it gave out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from ..errors import ConnectFailed
from ..model.permission import Grant, TrackSource
from .attributes import Attributes
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
    """Signs and reads tokens with a secret that never leaves the control half. `backend` and `advice` are for those who
    come with a token of somebody else: whose door this is, and where such a token is good."""

    def __init__(self, secret: bytes, backend: str, advice: str = "use the ticket's own url and token") -> None:
        self._secret = secret
        self._backend = backend
        self._advice = advice

    def sign(self, claims: Claims) -> str:
        """An opaque string that only who has the secret makes."""
        grant, profile = claims.grant, claims.profile
        body = json.dumps(
            [
                claims.room,
                claims.identity,
                profile.name,
                [grant.subscribe, sorted(grant.publish), grant.publish_data],
                claims.expires_at,
                profile.metadata,
                dict(profile.attributes),
            ],
            ensure_ascii=False,
        ).encode()
        return f"{_encode(body)}.{_encode(self._signature(body))}"

    def read(self, token: str, now: float | None) -> Claims:
        """The claims; whether they have expired is not asked where `now` is None.

        Raises `ConnectFailed`, with the reason `bad_token` where they are forged and `token_expired` where they have
        expired.
        """
        try:
            body, signature = (_decode(part) for part in token.split("."))
        except (AttributeError, ValueError, binascii.Error):
            raise refusal(f"this is not a token of {self._backend}; use the one of issue_join", "bad_token") from None
        if not hmac.compare_digest(signature, self._signature(body)):
            raise refusal(f"the token was not signed here; {self._advice}", "bad_token")
        room, identity, name, (subscribe, publish, publish_data), expires_at, metadata, attributes = json.loads(body)
        if now is not None and now >= expires_at:
            raise refusal(f"the token expired {now - expires_at:.3f} s ago; ask for a new ticket", "token_expired")
        grant = Grant(subscribe, frozenset(TrackSource(source) for source in publish), publish_data)
        return Claims(room, identity, Profile(name, metadata, Attributes(attributes)), grant, expires_at)

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)


def refusal(message: str, reason: str) -> ConnectFailed:
    """Why somebody does not come in, with a word for programs (details: `reason`)."""
    return ConnectFailed(message, details={"reason": reason})


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode()


def _decode(part: str) -> bytes:
    return base64.b64decode(part.encode(), altchars=b"-_", validate=True)
