"""Every error of the package, in one tree.

    UTDStreamException              .message, .status_code, .code, .details
    +-- InvalidInput                422  a value is malformed; nothing was looked up
    |   +-- InvalidFrame            422  a media frame of the wrong shape or rate
    |   +-- TooLarge                413  a payload is over its limit
    |   +-- MethodNotAllowed        405  the route takes another HTTP method
    |   +-- RequestTimeout          408  the request did not come whole in time
    |   `-- UnsupportedMediaType    415  the body is not what the route reads
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
    +-- Unavailable                 503  the server starts or stops, or cannot be reached
    |   +-- Deposed                 503  another node works for the project now; nothing was done
    |   `-- NobodyListens           503  no node answers there; nothing was done
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

    # what is malformed
    INVALID_INPUT = "invalid_input"
    """A field is missing, unknown, of the wrong kind or out of its bounds; `details.problems` names each."""
    INVALID_IDENTITY = "invalid_identity"
    """No well-formed identity: 1 to 128 printable characters, not beginning with `$`."""
    INVALID_NAME = "invalid_name"
    """No well-formed room name."""
    INVALID_FRAME = "invalid_frame"
    """A media frame of the wrong shape, rate or size."""
    TOO_LARGE = "too_large"
    """A payload is over its limit."""
    INVALID_JSON = "invalid_json"
    """The body is no JSON object in UTF-8, names a field twice, or nests too deeply."""
    REQUEST_TIMEOUT = "request_timeout"
    """The request did not come whole in time; nothing was done."""
    METHOD_NOT_ALLOWED = "method_not_allowed"
    """The route takes other HTTP methods; `details.allowed` lists them."""
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    """The body is not what the route reads: `application/json`, in UTF-8 and not compressed."""
    CALL_TO_SELF = "call_to_self"
    """Nobody calls oneself."""
    SEAT_OUT_OF_RANGE = "seat_out_of_range"
    """The grid has no seat of this number."""

    # who may not
    UNAUTHENTICATED = "unauthenticated"
    """No credential, or one that is not valid (any more)."""
    AMBIGUOUS_CREDENTIALS = "ambiguous_credentials"
    """Several credentials at once; send one: the secret, the key or the user token."""
    APPKEY_IDENTITY_MINT_DISABLED = "appkey_identity_mint_disabled"
    """The project does not let its publishable key sign anybody in; mint sessions with the secret, on your server."""
    PROJECT_SUSPENDED = "project_suspended"
    """The project is suspended; its owner has to settle that first."""
    FORBIDDEN = "forbidden"
    """The actor's role lacks the capability, or it is somebody else's to do; `details.capability` names it."""
    OUTRANKED = "outranked"
    """The other one's rank is not below the actor's."""
    BANNED = "banned"
    """The identity is banned from the room or the project; `details` say until when and why."""
    FEATURE_DISABLED = "feature_disabled"
    """The project's plan does not hold this."""
    RATE_LIMITED = "rate_limited"
    """Too many requests, or too many commands wait; try again a little later."""
    PUBLISH_REFUSED = "publish_refused"
    """Publishing this source is not granted: take a seat, come on stage or ask first."""

    # what is not there
    ROOM_NOT_FOUND = "room_not_found"
    """There is no such room; a host creates it by joining."""
    PARTICIPANT_NOT_FOUND = "participant_not_found"
    """The identity is not in the room."""
    REQUEST_NOT_FOUND = "request_not_found"
    """The room never had a request of this number."""
    CALL_NOT_FOUND = "call_not_found"
    """There is no such call, or it is somebody else's."""
    BAN_NOT_FOUND = "ban_not_found"
    """No ban with this id holds."""
    BACKEND_NOT_FOUND = "backend_not_found"
    """No installed plugin brings a media backend of this name."""
    PROJECT_NOT_FOUND = "project_not_found"
    """The server has no such project."""
    ROUTE_NOT_FOUND = "route_not_found"
    """The server has nothing at this path."""
    TRACK_NOT_FOUND = "track_not_found"
    """The participant publishes no such track."""

    # what is not possible now
    CONFLICT = "conflict"
    """The state is not the one that this needs; read it again."""
    ROOM_EXISTS = "room_exists"
    """A room of this name exists; join it, or end it first."""
    ROOM_ENDED = "room_ended"
    """The room has ended; its name is free for a new one."""
    ROOM_NOT_LIVE = "room_not_live"
    """The room is backstage, where this identity may not be; wait until it goes live."""
    ROOM_FULL = "room_full"
    """The room holds as many participants as it may."""
    WRONG_ROOM_TYPE = "wrong_room_type"
    """An audio room has seats and no stage, a live stream a stage and no seats."""
    WRONG_PHASE = "wrong_phase"
    """The room is live already, or it is not."""
    ALREADY_JOINED = "already_joined"
    """The identity is there already, and a second device is refused; or the session is connected."""
    NOT_JOINED = "not_joined"
    """Only somebody in the room may do this; join first."""
    SEAT_TAKEN = "seat_taken"
    """Somebody sits there."""
    SEAT_LOCKED = "seat_locked"
    """The seat is locked."""
    SEAT_NOT_LOCKED = "seat_not_locked"
    """The seat is not locked."""
    SEAT_RESERVED = "seat_reserved"
    """The seat is kept for somebody else."""
    SEAT_EMPTY = "seat_empty"
    """Nobody sits there."""
    SEAT_MUTED = "seat_muted"
    """The occupant is muted already."""
    SEAT_NOT_MUTED = "seat_not_muted"
    """The occupant is not muted."""
    NO_FREE_SEAT = "no_free_seat"
    """No seat is open to this identity."""
    SEATS_BY_REQUEST = "seats_by_request"
    """Seats of this room are given on request; ask to speak."""
    ALREADY_SEATED = "already_seated"
    """The identity holds a seat; moving is another command."""
    NOT_SEATED = "not_seated"
    """The identity holds no seat."""
    ALREADY_ON_STAGE = "already_on_stage"
    """The identity is on stage."""
    NOT_ON_STAGE = "not_on_stage"
    """The identity is not on stage."""
    REQUEST_PENDING = "request_pending"
    """A request of this kind to the same addressee is pending; `details.id` is its number."""
    REQUEST_ENDED = "request_ended"
    """The request has ended, and ends only once; make a new one."""
    TOO_MANY_REQUESTS_WAITING = "too_many_requests_waiting"
    """As many requests are pending as the room allows."""
    TOO_MANY_ROLES = "too_many_roles"
    """As many people have a role as a room keeps."""
    TOO_MANY_BANS = "too_many_bans"
    """As many bans hold as a room or a project keeps."""
    CALL_ENDED = "call_ended"
    """The call is over; start a new one."""
    CALL_NOT_RINGING = "call_not_ringing"
    """The call was answered, perhaps on another device."""
    CALL_NOT_ACTIVE = "call_not_active"
    """The call was not answered yet; cancel or reject it."""
    CALLEE_BUSY = "callee_busy"
    """The callee is in another call."""
    ALREADY_IN_CALL = "already_in_call"
    """The caller is in another call; end it first."""
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    """The idempotency key was used for another command."""
    SUPERSEDED = "superseded"
    """A later, opposite operation won."""
    CLOSED = "closed"
    """The object was closed; make a new one."""

    # media, plugins, service
    MEDIA_FAILED = "media_failed"
    """The media backend failed."""
    CONNECT_FAILED = "connect_failed"
    """No media connection could be made."""
    CONNECTION_LOST = "connection_lost"
    """There was a media connection, and it ended."""
    UNSUPPORTED = "unsupported"
    """The backend declares that it cannot do this; the message names backend and feature."""
    PLUGIN_INVALID = "plugin_invalid"
    """A plugin does not fit its hooks; the message names plugin, hook and mismatch."""
    PLUGIN_FAILED = "plugin_failed"
    """A plugin raised something of its own."""
    STORE_FAILED = "store_failed"
    """The database failed; nothing was changed."""
    UNAVAILABLE = "unavailable"
    """The server starts or stops, or cannot be reached; try again in a moment, with the same idempotency key."""
    DEPOSED = "deposed"
    """Another node works for the project now; nothing was done: try again at once, with the same idempotency key."""
    NOBODY_LISTENS = "nobody_listens"
    """No node of the server is there to do this at the moment, so nothing was done; try again in a moment."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    """The answer did not come in time; whether it took effect is not known."""
    GRANT_TIMEOUT = "grant_timeout"
    """The permission to publish did not come in time."""
    MISSING_EXTRA = "missing_extra"
    """An optional dependency is not installed; the message says which extra brings it."""
    INTERNAL = "internal"
    """A fault of this package; please report it."""


class UTDStreamException(Exception):
    """Root of every error that this package raises.

    `message` says what happened and what to do next, `status_code` is the HTTP status of the code,
    `code` is stable across releases, `details` holds machine-readable particulars.
    """

    default_status: ClassVar[int] = 500
    default_code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

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


class MethodNotAllowed(InvalidInput):
    default_status = 405
    default_code = ErrorCode.METHOD_NOT_ALLOWED


class RequestTimeout(InvalidInput):
    default_status = 408
    default_code = ErrorCode.REQUEST_TIMEOUT


class UnsupportedMediaType(InvalidInput):
    default_status = 415
    default_code = ErrorCode.UNSUPPORTED_MEDIA_TYPE


class Unauthenticated(UTDStreamException):
    default_status = 401
    default_code = ErrorCode.UNAUTHENTICATED


class RateLimited(UTDStreamException):
    default_status = 429
    default_code = ErrorCode.RATE_LIMITED


class Refused(UTDStreamException):
    """The rules of the model refuse a command. The state is exactly what it was before."""

    default_status = 409
    default_code = ErrorCode.CONFLICT


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
    """The rules allow it, but not in this state."""


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


class Unavailable(UTDStreamException):
    default_status = 503
    default_code = ErrorCode.UNAVAILABLE


class Deposed(Unavailable):
    """Another node works for the project now, or may. Nothing was done here, and nothing will be: ask the one that
    does. Trying again in the same place cannot help."""

    default_code = ErrorCode.DEPOSED


class NobodyListens(Unavailable):
    """A question that no node was there to answer, so that nothing was done."""

    default_code = ErrorCode.NOBODY_LISTENS


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


_CODES: Mapping[type[UTDStreamException], tuple[ErrorCode, ...]] = {
    InvalidInput: (
        ErrorCode.INVALID_INPUT,
        ErrorCode.INVALID_JSON,
        ErrorCode.INVALID_IDENTITY,
        ErrorCode.INVALID_NAME,
        ErrorCode.CALL_TO_SELF,
        ErrorCode.SEAT_OUT_OF_RANGE,
    ),
    InvalidFrame: (ErrorCode.INVALID_FRAME,),
    TooLarge: (ErrorCode.TOO_LARGE,),
    MethodNotAllowed: (ErrorCode.METHOD_NOT_ALLOWED,),
    RequestTimeout: (ErrorCode.REQUEST_TIMEOUT,),
    UnsupportedMediaType: (ErrorCode.UNSUPPORTED_MEDIA_TYPE,),
    Unauthenticated: (ErrorCode.UNAUTHENTICATED, ErrorCode.AMBIGUOUS_CREDENTIALS),
    RateLimited: (ErrorCode.RATE_LIMITED,),
    Forbidden: (
        ErrorCode.FORBIDDEN,
        ErrorCode.APPKEY_IDENTITY_MINT_DISABLED,
        ErrorCode.PROJECT_SUSPENDED,
        ErrorCode.OUTRANKED,
        ErrorCode.SEATS_BY_REQUEST,
    ),
    Banned: (ErrorCode.BANNED,),
    FeatureDisabled: (ErrorCode.FEATURE_DISABLED,),
    NotFound: (
        ErrorCode.ROOM_NOT_FOUND,
        ErrorCode.PARTICIPANT_NOT_FOUND,
        ErrorCode.REQUEST_NOT_FOUND,
        ErrorCode.CALL_NOT_FOUND,
        ErrorCode.BAN_NOT_FOUND,
        ErrorCode.ROUTE_NOT_FOUND,
        ErrorCode.PROJECT_NOT_FOUND,
        ErrorCode.TRACK_NOT_FOUND,
    ),
    MediaError: (ErrorCode.MEDIA_FAILED,),
    ConnectFailed: (ErrorCode.CONNECT_FAILED,),
    ConnectionLost: (ErrorCode.CONNECTION_LOST,),
    PublishRefused: (ErrorCode.PUBLISH_REFUSED,),
    Unsupported: (ErrorCode.UNSUPPORTED,),
    PluginError: (ErrorCode.PLUGIN_INVALID, ErrorCode.PLUGIN_FAILED),
    BackendNotFound: (ErrorCode.BACKEND_NOT_FOUND,),
    StoreFailed: (ErrorCode.STORE_FAILED,),
    NobodyListens: (ErrorCode.NOBODY_LISTENS,),
    Unavailable: (ErrorCode.UNAVAILABLE,),
    Deposed: (ErrorCode.DEPOSED,),
    DeadlineExceeded: (ErrorCode.DEADLINE_EXCEEDED, ErrorCode.GRANT_TIMEOUT),
    Superseded: (ErrorCode.SUPERSEDED,),
    Closed: (ErrorCode.CLOSED,),
    UTDStreamException: (ErrorCode.MISSING_EXTRA, ErrorCode.INTERNAL),
}

EXCEPTION_OF: Mapping[ErrorCode, type[UTDStreamException]] = {
    **dict.fromkeys(ErrorCode, Conflict),
    **{code: kind for kind, codes in _CODES.items() for code in codes},
}
"""What each code is raised as. Most are a `Conflict`: something is asked of a state that is not ready for it.

The status of a code is that of its class; who receives a code from another process raises this.
"""

_BY_STATUS: Mapping[int, type[UTDStreamException]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: InvalidInput,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: DeadlineExceeded,
}


def exception_of(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> UTDStreamException:
    """The exception that an error was, from what was written down of it; of its status's kind where the code is of
    another version."""
    try:
        known = ErrorCode(code)
    except ValueError:
        kind = _BY_STATUS.get(status) or (Refused if 400 <= status < 500 else UTDStreamException)
        return kind(message, status, code, details=details)
    return EXCEPTION_OF[known](message, status, known, details=details)
