"""User tokens: who gives a command, on which device (JWT, HS256, one key per project).

- A token is of a generation of its identity. A ban, and a kick with block, raises the generation (`generations.py`);
  to join, and to get a new token, an old one is then no good.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...concurrency import Clock
from ...errors import Conflict, InvalidInput, Unauthenticated
from ...model.command import Actor
from ...model.identifiers import check_device, check_identity
from ...store.base import Commit, Store, StoredState

_KIND = "secret"
_NAME = "user_token_key"
_ALGORITHM = "HS256"
_KEY_BYTES = 32
_REQUIRED = ("sub", "app", "gen", "exp")
_KEPT = 4_096
"""Tokens whose signature was verified, and is not again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Of which generation a token is, when it was made and when it expires, in seconds since the Unix epoch."""

    generation: int
    at: float
    expires_at: float


class UserTokens:
    """Makes and reads tokens with the claims `sub`, `name`, `device`, `app`, `gen`, `iat` and `exp`.

    The key is kept, by the engine's owner or in the store, so tokens outlive a restart.
    """

    def __init__(self, app_id: str, key: bytes, clock: Clock, ttl: float) -> None:
        import jwt

        self._jwt = jwt
        self._app_id = app_id
        self._key = key
        self._clock = clock
        self._ttl = ttl
        # A signature stays what it is, and a client sends its token with every command.
        self._verified = lru_cache(_KEPT)(self._verify)

    def terms(self, generation: int) -> Terms:
        """Those of a token that is made now."""
        now = self._clock.now()
        return Terms(generation, now, now + self._ttl)

    def issue(self, actor: Actor, terms: Terms) -> str:
        """A token for the actor; the same one for the same terms."""
        claims = {
            "sub": actor.identity,
            "name": actor.name,
            "device": actor.device,
            "app": self._app_id,
            "gen": terms.generation,
            "iat": terms.at,
            "exp": terms.expires_at,
        }
        return self._jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, token: str) -> Actor:
        """Who the token speaks for. Raises `Unauthenticated` for one that is forged, foreign or not good now."""
        if not isinstance(token, str):
            raise Unauthenticated(f"a user token is a string, got {type(token).__name__}; authenticate again")
        actor, good_from, expires_at = self._verified(token)
        now = self._clock.now()
        # So asked that a time which is no number is none at which the token is good.
        if not now < expires_at:
            raise Unauthenticated(f"the user token expired {now - expires_at:.0f} s ago; authenticate again")
        if not now >= good_from:
            raise Unauthenticated(f"the user token is good in {good_from - now:.0f} s, not yet; authenticate again")
        return actor

    def _verify(self, token: str) -> tuple[Actor, float, float]:
        """What a token says for as long as it is good, from when and until when that is. Raises `Unauthenticated`."""
        try:
            # Times are checked by whoever reads it, as the library only knows the machine's clock.
            claims: dict[str, Any] = self._jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            if claims["app"] != self._app_id:
                raise Unauthenticated("the user token is of another app; authenticate again")
            device, name = claims.get("device", "default"), claims.get("name", "")
            actor = Actor(check_identity(claims["sub"]), check_device(device), str(name), int(claims["gen"]))
            return actor, float(claims.get("nbf", 0)), float(claims["exp"])
        except (self._jwt.InvalidTokenError, InvalidInput, TypeError, ValueError, OverflowError) as error:
            raise Unauthenticated(f"this is no user token of this engine ({error}); authenticate again") from None


async def token_key(store: Store) -> bytes:
    """The project's key; made now where there is none yet. Raises `StoreFailed`."""
    row = await store.load(_KIND, _NAME)
    if row is None:
        fresh = secrets.token_hex(_KEY_BYTES).encode()
        try:
            await store.commit(Commit(states=[(StoredState(_KIND, _NAME, 1, fresh, None, None), 0)]))
        except Conflict:
            # Another engine on this store was a moment faster.
            row = await store.load(_KIND, _NAME)
        else:
            return fresh
    return fresh if row is None else row.payload
