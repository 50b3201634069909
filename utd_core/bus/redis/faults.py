"""What Redis and redis-py raise, in this package's words: one table, most specific first."""

from __future__ import annotations

from redis import exceptions as redis_errors

from ...errors import Unavailable

DRIVER_ERRORS = (redis_errors.RedisError, OSError, EOFError, TimeoutError)
"""Whatever redis-py raises for a Redis, or for the way to it."""

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (redis_errors.AuthenticationError, "it does not take the user or the password; check the bus's URL"),
    (
        redis_errors.NoPermissionError,
        "the user may not; grant it SUBSCRIBE, UNSUBSCRIBE, PUBLISH, PING and the channels &PREFIX:*",
    ),
    (redis_errors.BusyLoadingError, "it is starting; repeat in a moment"),
    (redis_errors.ConnectionError, "it cannot be reached; check that it runs, and the bus's URL"),
    (redis_errors.ResponseError, "it refuses"),
    (TimeoutError, "it does not answer"),
)


def words_for(error: BaseException) -> str:
    """What happened, and what to do."""
    # What Redis says while a connection is made may come wrapped in a plain ConnectionError.
    if isinstance(error.__context__, redis_errors.RedisError):
        error = error.__context__
    said = str(error)
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), _WORDS[3][1])
    return f"{words} ({said})" if said else words


def explain(error: BaseException, name: str) -> Unavailable:
    """The error of this package for what was raised at the Redis `name`."""
    return Unavailable(f"the message bus {name} failed: {words_for(error)}", details={"reason": type(error).__name__})
