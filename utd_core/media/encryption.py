"""End-to-end encryption: a key that the participants share and the media server never sees."""

from __future__ import annotations

from ..errors import InvalidInput

MAX_SECRET_BYTES = 256


class EncryptionKey:
    """What everybody in a room must have who is to hear, see and read the others.

    `secret`: text (its UTF-8 counts) or bytes, 1 to 256 of them; make it long, and bring it to the participants in a
    way of your own: the engine never has it. It is in no log and no `repr`. Raises `InvalidInput`.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: str | bytes) -> None:
        # Nothing of what was given may be in the message.
        if not isinstance(secret, str | bytes):
            raise InvalidInput(f"an encryption key is made of str or bytes, not of {type(secret).__name__}")
        try:
            encoded = secret.encode() if isinstance(secret, str) else bytes(secret)
        except UnicodeEncodeError:
            raise InvalidInput("an encryption key's text must be text that UTF-8 can hold") from None
        if not 1 <= len(encoded) <= MAX_SECRET_BYTES:
            raise InvalidInput(f"an encryption key has 1 to {MAX_SECRET_BYTES} bytes, got {len(encoded)}")
        self._secret = encoded

    def reveal(self) -> bytes:
        """The secret, for the backend that encrypts with it."""
        return self._secret

    def __repr__(self) -> str:
        return "EncryptionKey(...)"

    def __reduce__(self) -> str:
        raise InvalidInput("an encryption key is not written anywhere; make it anew where it is needed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncryptionKey) and other._secret == self._secret

    def __hash__(self) -> int:
        return hash(self._secret)
