"""What the application can be tuned with."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Raises `InvalidInput` when made with a limit that is not a whole number above zero, or a time that is not above
    zero. Times are in seconds.

    - `max_body`: bytes of a request's body; `max_depth`, `max_values`: how deep its JSON nests, and how much it holds.
    - `max_buckets`: projects and identities whose rate is kept in memory; beyond that, whoever was quiet for longest
      begins anew.
    - `body_timeout`: how long a request's body may take to arrive. Under `utd serve`, or with its options of uvicorn,
      `head_timeout` says the same of its line and headers, and of a connection that says nothing; `write_timeout`: how
      long an answer may wait for a client that does not read.
    - `connections_per_address`: requests of one IP address (of IPv6: of one /64, which a subscriber has) that are under
      way at once, and, as above, connections that it may hold, with or without requests; None for as many as it likes.
      Trusted proxies' are their clients'.
    - `origins`: web pages that may call ("https://shop.example.com"); "*" for all. None are listed by default: then a
      browser lets only pages of the server's own origin.
    - `trusted_proxies`: addresses or networks whose `X-Forwarded-...` headers are believed; "unix" is whoever connects
      by a Unix socket.
    - `public_url`: where clients reach the server ("https://rtc.example.com/engine"); None: where the request came to.
    """

    max_body: int = 262_144
    max_depth: int = 32
    max_values: int = 50_000
    max_buckets: int = 100_000
    body_timeout: float = 10.0
    head_timeout: float = 10.0
    write_timeout: float = 30.0
    connections_per_address: int | None = 1_000
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    public_url: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "float" and not (type(value) in (int, float) and value > 0):
                raise InvalidInput(f"{field.name} must be a number above zero, got {value!r}; change it")
            is_limit = field.type == "int" or (field.type == "int | None" and value is not None)
            if is_limit and not (type(value) is int and value > 0):
                raise InvalidInput(f"{field.name} must be a whole number above zero, got {value!r}; change it")
