"""Every error of the package, in one tree.

    UTDStreamException              .message, .status_code, .code, .details
    +-- InvalidInput                422  a value is malformed; nothing was looked up
    |   +-- InvalidFrame            422  a media frame of the wrong shape or rate
    |   `-- TooLarge                413  a payload is over its limit
    +-- Unauthenticated             401  no or bad credential
    +-- RateLimited                 429  slow down
    +-- Refused                     the rules say no; the state is unchanged
    |   +-- Forbidden               403  this actor may not
    |   |   +-- Banned              403  ... because of a ban
    |   |   `-- FeatureDisabled     403  ... because the plan lacks it
    |   +-- NotFound                404  no such room, request, call, ...
    |   `-- Conflict                409  not in this state
    +-- MediaError                  503  a media backend failed
    |   +-- ConnectFailed           503  no connection could be made
    |   +-- ConnectionLost          503  there was one, and it ended
    |   +-- PublishRefused          403  the backend's server side refused a track
    |   `-- Unsupported             501  the backend declares it cannot do this
    +-- PluginError                 500  a plugin is wrong or failed
    |   `-- BackendNotFound         404  no installed plugin has this name
    +-- StoreFailed                 503  the database failed; nothing was changed
    +-- DeadlineExceeded            504  the answer did not come in time
    +-- Superseded                  409  a later opposite operation won
    `-- Closed                      409  the object was closed

Codes are stable and the same in Python and on the wire. `status_code` is the HTTP status that the code
has on the wire, also when no HTTP is involved. Messages name what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar


class ErrorCode(StrEnum):
    """Stable, documented error codes; `docs/reference/errors.md` lists them with their status."""

    # malformed
    INVALID_INPUT = "invalid_input"
    INVALID_IDENTITY = "invalid_identity"
    INVALID_NAME = "invalid_name"
    INVALID_FRAME = "invalid_frame"
    TOO_LARGE = "too_large"
    CALL_TO_SELF = "call_to_self"
    SEAT_OUT_OF_RANGE = "seat_out_of_range"

    # who
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    OUTRANKED = "outranked"
    BANNED = "banned"
    FEATURE_DISABLED = "feature_disabled"
    RATE_LIMITED = "rate_limited"
    PUBLISH_REFUSED = "publish_refused"

    # what
    ROOM_NOT_FOUND = "room_not_found"
    PARTICIPANT_NOT_FOUND = "participant_not_found"
    REQUEST_NOT_FOUND = "request_not_found"
    CALL_NOT_FOUND = "call_not_found"
    BAN_NOT_FOUND = "ban_not_found"
    BACKEND_NOT_FOUND = "backend_not_found"
    TRACK_NOT_FOUND = "track_not_found"

    # when
    CONFLICT = "conflict"
    ROOM_EXISTS = "room_exists"
    ROOM_ENDED = "room_ended"
    ROOM_NOT_LIVE = "room_not_live"
    ROOM_FULL = "room_full"
    WRONG_ROOM_TYPE = "wrong_room_type"
    WRONG_PHASE = "wrong_phase"
    ALREADY_JOINED = "already_joined"
    NOT_JOINED = "not_joined"
    SEAT_TAKEN = "seat_taken"
    SEAT_LOCKED = "seat_locked"
    SEAT_NOT_LOCKED = "seat_not_locked"
    SEAT_RESERVED = "seat_reserved"
    SEAT_EMPTY = "seat_empty"
    SEAT_MUTED = "seat_muted"
    SEAT_NOT_MUTED = "seat_not_muted"
    NO_FREE_SEAT = "no_free_seat"
    SEATS_BY_REQUEST = "seats_by_request"
    ALREADY_SEATED = "already_seated"
    NOT_SEATED = "not_seated"
    ALREADY_ON_STAGE = "already_on_stage"
    NOT_ON_STAGE = "not_on_stage"
    REQUEST_PENDING = "request_pending"
    REQUEST_ENDED = "request_ended"
    TOO_MANY_REQUESTS_WAITING = "too_many_requests_waiting"
    TOO_MANY_ROLES = "too_many_roles"
    TOO_MANY_BANS = "too_many_bans"
    ALREADY_BANNED = "already_banned"
    CALL_ENDED = "call_ended"
    CALL_NOT_RINGING = "call_not_ringing"
    CALL_NOT_ACTIVE = "call_not_active"
    CALLEE_BUSY = "callee_busy"
    ALREADY_IN_CALL = "already_in_call"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    SUPERSEDED = "superseded"
    CLOSED = "closed"

    # media, plugins, service
    MEDIA_FAILED = "media_failed"
    CONNECT_FAILED = "connect_failed"
    CONNECTION_LOST = "connection_lost"
    UNSUPPORTED = "unsupported"
    PLUGIN_INVALID = "plugin_invalid"
    PLUGIN_FAILED = "plugin_failed"
    STORE_FAILED = "store_failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    GRANT_TIMEOUT = "grant_timeout"
    MISSING_EXTRA = "missing_extra"
    INTERNAL = "internal"


class UTDStreamException(Exception):
    """Root of every error that this package raises.

    `message` says what happened and what to do next, `status_code` is the HTTP status of the code,
    `code` is stable across releases, `details` holds machine-readable particulars.
    """

    default_status: ClassVar[int] = 500
    default_code: ClassVar[ErrorCode] = ErrorCode.CONFLICT

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        code: ErrorCode | str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = self.default_status if status_code is None else status_code
        self.code = str(self.default_code if code is None else code)
        self.details: Mapping[str, Any] = details or {}

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    @property
    def is_banned(self) -> bool:
        """The identity is banned, from the room or from the project."""
        return self.code == ErrorCode.BANNED

    @property
    def is_rate_limited(self) -> bool:
        """Too many requests; wait before the next."""
        return self.status_code == 429

    @property
    def is_forbidden(self) -> bool:
        """Forbidden for a reason that is not a ban."""
        return self.status_code == 403 and not self.is_banned

    @property
    def is_feature_disabled(self) -> bool:
        """The project's plan does not hold this capability; `is_forbidden` is true as well."""
        return self.code == ErrorCode.FEATURE_DISABLED


class InvalidInput(UTDStreamException):
    default_status = 422
    default_code = ErrorCode.INVALID_INPUT


class InvalidFrame(InvalidInput):
    default_code = ErrorCode.INVALID_FRAME


class TooLarge(InvalidInput):
    default_status = 413
    default_code = ErrorCode.TOO_LARGE


class Unauthenticated(UTDStreamException):
    default_status = 401
    default_code = ErrorCode.UNAUTHENTICATED


class RateLimited(UTDStreamException):
    default_status = 429
    default_code = ErrorCode.RATE_LIMITED


class Refused(UTDStreamException):
    """The rules of the model refuse a command. The state is exactly what it was before."""

    default_status = 409


class Forbidden(Refused):
    default_status = 403
    default_code = ErrorCode.FORBIDDEN


class Banned(Forbidden):
    default_code = ErrorCode.BANNED


class FeatureDisabled(Forbidden):
    default_code = ErrorCode.FEATURE_DISABLED


class NotFound(Refused):
    default_status = 404
    default_code = ErrorCode.ROOM_NOT_FOUND


class Conflict(Refused):
    default_status = 409
    default_code = ErrorCode.CONFLICT


class MediaError(UTDStreamException):
    default_status = 503
    default_code = ErrorCode.MEDIA_FAILED


class ConnectFailed(MediaError):
    default_code = ErrorCode.CONNECT_FAILED


class ConnectionLost(MediaError):
    default_code = ErrorCode.CONNECTION_LOST


class PublishRefused(MediaError):
    default_status = 403
    default_code = ErrorCode.PUBLISH_REFUSED


class Unsupported(MediaError):
    """The backend declares that it cannot do this; the message names backend and feature."""

    default_status = 501
    default_code = ErrorCode.UNSUPPORTED


class PluginError(UTDStreamException):
    default_status = 500
    default_code = ErrorCode.PLUGIN_FAILED


class BackendNotFound(PluginError):
    default_status = 404
    default_code = ErrorCode.BACKEND_NOT_FOUND


class StoreFailed(UTDStreamException):
    default_status = 503
    default_code = ErrorCode.STORE_FAILED


class DeadlineExceeded(UTDStreamException):
    default_status = 504
    default_code = ErrorCode.DEADLINE_EXCEEDED


class Superseded(UTDStreamException):
    """An operation was given up because a later, opposite one was called."""

    default_status = 409
    default_code = ErrorCode.SUPERSEDED


class Closed(UTDStreamException):
    default_status = 409
    default_code = ErrorCode.CLOSED
