"""Secrets of projects at rest: encrypted with a key that is in no database.

They sign, so they cannot only be hashed. The key comes from the environment (`UTD_SECRET_KEY`); several, with commas
between them, while one is replaced: the first encrypts, all decrypt.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ...errors import InvalidInput, Unavailable
from ..webhooks.endpoints import WebhookEndpoint

VARIABLE = "UTD_SECRET_KEY"
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=\Z")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only a project's server may know: `secrets` and `webhooks` as `Project` has them, `token_key` signs its user
    tokens. `kept_until`: when the secrets behind the first are accepted no more, in seconds since the Unix epoch; None:
    they are until somebody ends that. Webhooks have secrets too, and their URLs may."""

    secrets: tuple[str, ...] = field(repr=False)
    token_key: str = field(repr=False)
    kept_until: float | None = None
    webhooks: tuple[WebhookEndpoint, ...] = field(default=(), repr=False)

    def accepted(self, now: float) -> tuple[str, ...]:
        """Those of the secrets that are good at this time."""
        return self.secrets if self.kept_until is None or now < self.kept_until else self.secrets[:1]


class Vault:
    """Encrypts and decrypts. `keys` are as `new_key` makes them. Raises `InvalidInput` for others."""

    def __init__(self, keys: str) -> None:
        each = [key.strip() for key in keys.split(",")]
        if not all(_KEY.match(key) for key in each):
            raise InvalidInput(f"{VARIABLE} is no key; make one with `utd project keygen`")
        self._cipher = MultiFernet([Fernet(key) for key in each])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """With the keys of this process. Raises `InvalidInput` where there is none."""
        keys = environment.get(VARIABLE, "").strip()
        if not keys:
            raise InvalidInput(
                f"{VARIABLE} is not set, and the secrets of projects are encrypted with it; make a key once with "
                "`utd project keygen`, set it on every node, and keep a copy: without it the secrets are lost"
            )
        return cls(keys)

    def seal(self, app_id: str, secrets: Secrets) -> bytes:
        """Encrypted, for this project only."""
        return self._cipher.encrypt(json.dumps({"app_id": app_id, **asdict(secrets)}).encode())

    def unseal(self, app_id: str, sealed: bytes) -> Secrets:
        """Raises `Unavailable` for what none of the keys encrypted, or what was encrypted for another project."""
        try:
            found = json.loads(self._cipher.decrypt(sealed))
        except InvalidToken:
            raise Unavailable(
                f"the secrets of project {app_id!r} were encrypted with another key; give that one too, behind the "
                f"new one and a comma: {VARIABLE}=new,old"
            ) from None
        if found.pop("app_id") != app_id:
            raise Unavailable(f"the secrets that project {app_id!r} has are those of another one; rotate them")
        webhooks = tuple(map(_endpoint, found.get("webhooks", ())))
        return Secrets(tuple(found["secrets"]), found["token_key"], found.get("kept_until"), webhooks)

    def reseal(self, sealed: bytes) -> bytes:
        """The same, encrypted with the first key. Raises `Unavailable`."""
        try:
            return self._cipher.rotate(sealed)
        except InvalidToken:
            raise Unavailable(f"secrets were encrypted with a key that {VARIABLE} does not have; add it") from None


def _endpoint(written: Mapping[str, Any]) -> WebhookEndpoint:
    return WebhookEndpoint(**{**written, "secrets": tuple(written["secrets"]), "types": tuple(written["types"])})


def new_key() -> str:
    return Fernet.generate_key().decode()
