"""What delivering webhooks is tuned with."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Times are in seconds; every number must be above zero. Raises `InvalidInput` when made with another.

    - `timeout`: how long an endpoint may take to answer; `concurrency`: requests to one endpoint at once.
    - `allow_http`: URLs without TLS; `allow_private`: addresses that are not on the public internet (this machine, the
      local network, those of a cloud's metadata). Both are for development, and for networks that are one's own.
    - `keep_dead`: how long events that were given up are kept.
    - `poll_interval`: between two looks for what another node has left behind.
    - `flush_timeout`: how long a server that ends goes on delivering what is due.
    """

    timeout: float = 10.0
    concurrency: int = 16
    allow_http: bool = False
    allow_private: bool = False
    keep_dead: float = 2_592_000.0
    poll_interval: float = 5.0
    flush_timeout: float = 5.0

    def __post_init__(self) -> None:
        for name in ("timeout", "concurrency", "keep_dead", "poll_interval", "flush_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InvalidInput(f"webhook setting {name} must be a number above zero, got {value!r}")
