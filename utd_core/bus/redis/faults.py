"""What Redis and redis-py raise, in this package's words: one table, most specific first."""

from __future__ import annotations

import ssl

from redis import exceptions as redis_errors

from ...errors import Unavailable

DRIVER_ERRORS = (redis_errors.RedisError, OSError, EOFError, TimeoutError)
"""Whatever redis-py raises for a Redis, or for the way to it."""

_UNREACHABLE = "it cannot be reached; check that it runs, and the bus's URL"
_REFUSALS = (redis_errors.AuthenticationError, redis_errors.NoPermissionError, ssl.SSLCertVerificationError)

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (redis_errors.AuthenticationError, "it does not take the user or the password; check the bus's URL"),
    (
        redis_errors.NoPermissionError,
        "the user may not; grant it SUBSCRIBE, UNSUBSCRIBE, PUBLISH, PING and the channels &PREFIX:*",
    ),
    (redis_errors.BusyLoadingError, "it is starting; repeat in a moment"),
    (ssl.SSLCertVerificationError, "its certificate is not one to trust; name its authority by ?ssl_ca_certs=PATH"),
    (redis_errors.ConnectionError, _UNREACHABLE),
    (redis_errors.ResponseError, "it refuses"),
    (TimeoutError, "it does not answer"),
)


def is_refusal(error: BaseException) -> bool:
    """Whether Redis was reached and does not want us, or we do not trust it: waiting does not help."""
    return isinstance(_root(error), _REFUSALS)


def words_for(error: BaseException) -> str:
    """What happened, and what to do."""
    said = str(error)
    words = next((words for kind, words in _WORDS if isinstance(_root(error), kind)), _UNREACHABLE)
    return f"{words} ({said})" if said else words


def explain(error: BaseException, name: str) -> Unavailable:
    """The error of this package for what was raised at the Redis `name`."""
    return Unavailable(f"the message bus {name} failed: {words_for(error)}", details={"reason": type(error).__name__})


def _root(error: BaseException) -> BaseException:
    """What redis-py has wrapped in a plain ConnectionError while a connection is made."""
    inner = error.__context__
    return inner if isinstance(inner, redis_errors.RedisError | ssl.SSLCertVerificationError) else error
