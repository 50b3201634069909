"""What the application can be tuned with."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Raises `InvalidInput` when made with a limit that is not a whole number above zero.

    - `max_body`: bytes of a request's body; `max_depth`, `max_values`: how deep its JSON nests, and how much it holds.
    - `max_buckets`: projects and identities whose rate is kept in memory; beyond that, whoever was quiet for longest
      begins anew.
    - `trusted_proxies`: addresses or networks whose `X-Forwarded-...` headers are believed; "unix" is whoever connects
      by a Unix socket.
    - `public_url`: where clients reach the server ("https://rtc.example.com/engine"); None: where the request came to.
    """

    max_body: int = 262_144
    max_depth: int = 32
    max_values: int = 50_000
    max_buckets: int = 100_000
    trusted_proxies: tuple[str, ...] = ()
    public_url: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not (type(value) is int and value > 0):
                raise InvalidInput(f"{field.name} must be a whole number above zero, got {value!r}; change it")
