"""What a link to a remote engine can be tuned with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ...errors import InvalidInput
from ...media.checks import is_number
from ..policy import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """Times are in seconds of the link's clock. Raises `InvalidInput` when made with a value out of its bounds.

    - `request_timeout`: how long one request, or opening the socket, may take.
    - `repeat`: how often, and for how long, a request is repeated that found nobody or was told to come back later.
    - `silence`: after so long without a word on the socket the server is asked for a sign of life, which may take
      `pong_timeout`. The server may ask for a shorter silence.
    - `doubt`: the same, after something was said on the socket; so who moved to another network, and tries to do
      something there, does not wait for the end of the whole silence.
    - `catch_up_timeout`: how long the answer to a command waits for the events that the command has caused; then the
      channel is recovered.
    - `queue_capacity`: events that a reader of a channel may fall behind.
    - `renew_after`: the share of a token's life after which it is renewed, above 0 and below 1.
    """

    request_timeout: float = 15.0
    repeat: RetryPolicy = field(default_factory=lambda: RetryPolicy(longest_wait=2.0, patience=10.0))
    silence: float = 30.0
    doubt: float = 3.0
    pong_timeout: float = 10.0
    catch_up_timeout: float = 2.0
    queue_capacity: int = 1_000
    renew_after: float = 0.8

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "repeat":
                if not isinstance(value, RetryPolicy):
                    raise InvalidInput(f"repeat is a RetryPolicy, got {type(value).__name__}")
            elif not is_number(value) or not value > 0 or (each.type == "int" and type(value) is not int):
                raise InvalidInput(f"remote setting {each.name} must be above zero, got {value!r}")
        if not self.renew_after < 1:
            raise InvalidInput(f"renew_after is a share below 1, got {self.renew_after!r}")
