"""What the two halves say to each other: `docs/reference/p2p-signalling.md`.

Each message is one JSON object with a `type`. Both readers are strict: an unknown type or field, a wrong kind or a size
over its bound is `InvalidInput`, whatever the bytes are, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from utd_core.errors import InvalidInput
from utd_core.media.arguments import MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES
from utd_core.media.attributes import Attributes
from utd_core.media.events import DisconnectReason, ParticipantInfo, TrackInfo
from utd_core.media.profiles import Profile
from utd_core.media.signalling import MAX_SIGNAL_BYTES
from utd_core.model.identifiers import MAX_MEDIA_NAME
from utd_core.model.permission import Grant, TrackSource

from .capabilities import MAX_DATA_BYTES

VERSION = 2
"""Since 1: `profile` and `updated`, which nobody is told who says `hello` with 1."""
MAX_SDP = 40_000
"""Characters; a browser's offer of five sections has about 12,000."""

Name = Annotated[str, Field(max_length=MAX_MEDIA_NAME)]
Label = Annotated[str, Field(max_length=1_000)]
AttributeText = Annotated[str, Field(max_length=MAX_ATTRIBUTES_BYTES)]
TrackId = Annotated[str, Field(pattern=r"^TR_[0-9a-f]{16}$")]
Number = Annotated[int, Field(ge=0, lt=2**53)]
Role = Literal["offerer", "answerer"]


class Message(BaseModel):
    """The base of all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def encode(self) -> bytes:
        """The message as it goes over the way."""
        return self.model_dump_json(exclude_none=True).encode()


class GrantBody(BaseModel):
    """A grant on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscribe: bool
    publish: Annotated[tuple[TrackSource, ...], Field(max_length=len(TrackSource))]
    publish_data: bool

    @classmethod
    def of(cls, grant: Grant) -> GrantBody:
        return cls(subscribe=grant.subscribe, publish=tuple(sorted(grant.publish)), publish_data=grant.publish_data)

    def grant(self) -> Grant:
        return Grant(self.subscribe, frozenset(self.publish), self.publish_data)


class TrackBody(BaseModel):
    """A published track on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TrackId
    source: TrackSource
    muted: bool = False
    name: Label = ""

    @classmethod
    def of(cls, track: TrackInfo) -> TrackBody:
        return cls(id=track.id, source=track.source, muted=track.muted, name=track.name)

    def track(self) -> TrackInfo:
        return TrackInfo(self.id, self.source, self.muted, self.name)


class ProfileBody(BaseModel):
    """Name, metadata and attributes on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Label = ""
    metadata: Annotated[str, Field(max_length=MAX_METADATA_BYTES)] = ""
    attributes: Annotated[dict[AttributeText, AttributeText], Field(max_length=MAX_ATTRIBUTES)] = {}

    @classmethod
    def of(cls, profile: Profile) -> ProfileBody:
        return cls(name=profile.name, metadata=profile.metadata, attributes=dict(profile.attributes))

    def profile(self) -> Profile:
        return Profile(self.name, self.metadata, Attributes(self.attributes))


class PersonBody(BaseModel):
    """A participant on the wire. `profile`: None where it says no more than `name`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: Name
    name: Label = ""
    profile: ProfileBody | None = None
    grant: GrantBody
    tracks: Annotated[tuple[TrackBody, ...], Field(max_length=len(TrackSource))] = ()
    joined_at: float

    @classmethod
    def of(cls, person: ParticipantInfo) -> PersonBody:
        return cls(
            identity=person.identity,
            name=person.name,
            profile=_profile_of(person),
            grant=GrantBody.of(person.grant),
            tracks=tuple(TrackBody.of(track) for track in person.tracks),
            joined_at=person.joined_at,
        )

    def person(self) -> ParticipantInfo:
        return ParticipantInfo(
            self.identity,
            self.name,
            self.grant.grant(),
            tuple(body.track() for body in self.tracks),
            self.joined_at,
            metadata="" if self.profile is None else self.profile.metadata,
            attributes={} if self.profile is None else self.profile.attributes,
        )

    def plain(self) -> PersonBody:
        """As version 1 of the protocol has it."""
        return self.model_copy(update={"profile": None})


class IceServerBody(BaseModel):
    """As `RTCPeerConnection` of a browser takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: Annotated[tuple[str, ...], Field(max_length=20)]
    username: str | None = None
    credential: str | None = None


# From either half, or from one participant through the control half to the other.


class Description(Message):
    """The SDP of a peer connection. `generation`: the pairing it belongs to."""

    type: Literal["description"] = "description"
    generation: Number
    kind: Literal["offer", "answer"]
    sdp: Annotated[str, Field(max_length=MAX_SDP)]


class Candidate(Message):
    """One ICE candidate more; an empty `candidate` says that there are no more."""

    type: Literal["candidate"] = "candidate"
    generation: Number
    candidate: Annotated[str, Field(max_length=1_000)]
    mid: Annotated[str, Field(max_length=64)] | None = None
    index: Annotated[int, Field(ge=0, le=16)] | None = None


class Ping(Message):
    """Are you there?"""

    type: Literal["ping"] = "ping"


class Pong(Message):
    """I am."""

    type: Literal["pong"] = "pong"


# What a participant says.


class Hello(Message):
    """The first word on a new line. `stay`: comes back to the stay of that id, in which the way of the pairing
    `generation` is alive (0: none)."""

    type: Literal["hello"] = "hello"
    version: Number = VERSION
    token: Annotated[str, Field(max_length=32_768)]
    stay: Annotated[str, Field(max_length=64)] | None = None
    generation: Number = 0


class Publish(Message):
    """Publish a track, in the place of an older one of its source. Answered by `done` or `denied`."""

    type: Literal["publish"] = "publish"
    request: Number
    track: TrackBody


class Unpublish(Message):
    """End a track."""

    type: Literal["unpublish"] = "unpublish"
    track: TrackId


class Mute(Message):
    """Mute or unmute a track. Answered by `done`."""

    type: Literal["mute"] = "mute"
    request: Number
    track: TrackId
    muted: bool


class Rebuild(Message):
    """The way of that generation is dead: pair us anew."""

    type: Literal["rebuild"] = "rebuild"
    generation: Number
    why: Label = ""


class Bye(Message):
    """The participant leaves."""

    type: Literal["bye"] = "bye"


# What the control half says.


class Pairing(Message):
    """There is somebody: begin a new peer connection with `identity`, the older generation is over."""

    type: Literal["pairing"] = "pairing"
    generation: Number
    role: Role
    identity: Name
    ice_servers: tuple[IceServerBody, ...] = ()
    relay_only: bool = False


class Welcome(Message):
    """The answer to `hello`: who you are and who is there. `profile`: your own; `tracks`: your own that are still
    published."""

    type: Literal["welcome"] = "welcome"
    version: Number = VERSION
    stay: str
    room: Name
    identity: Name
    profile: ProfileBody | None = None
    grant: GrantBody
    participants: Annotated[tuple[PersonBody, ...], Field(max_length=1)] = ()
    tracks: tuple[TrackBody, ...] = ()


class Refused(Message):
    """The answer to a `hello` that does not come in, and the last word on the line. `reason`: a word for programs."""

    type: Literal["refused"] = "refused"
    reason: str
    message: str


class Joined(Message):
    type: Literal["joined"] = "joined"
    participant: PersonBody


class Left(Message):
    type: Literal["left"] = "left"
    identity: Name
    reason: DisconnectReason


class Updated(Message):
    """A participant is described like this now; with one's own identity: oneself."""

    type: Literal["updated"] = "updated"
    identity: Name
    profile: ProfileBody


class Published(Message):
    """Somebody has published a track."""

    type: Literal["published"] = "published"
    identity: Name
    track: TrackBody


class Unpublished(Message):
    """A track has ended; with one's own identity: it was taken away."""

    type: Literal["unpublished"] = "unpublished"
    identity: Name
    track: TrackId


class Muted(Message):
    """A track is muted now, or not; with one's own identity: a moderator did it."""

    type: Literal["muted"] = "muted"
    identity: Name
    track: TrackId
    muted: bool
    by_server: bool = False


class Granted(Message):
    """The grant of a participant, or one's own, is now this."""

    type: Literal["granted"] = "granted"
    identity: Name
    grant: GrantBody


class Done(Message):
    """A request has been carried out."""

    type: Literal["done"] = "done"
    request: Number


class Denied(Message):
    """A request was not. `code`: of `utd_core.errors.ErrorCode`."""

    type: Literal["denied"] = "denied"
    request: Number
    code: str
    message: str


class Data(Message):
    """Data from the server side. `payload`: base64."""

    type: Literal["data"] = "data"
    payload: Annotated[str, Field(max_length=MAX_DATA_BYTES * 4 // 3 + 4)]
    topic: Label = ""
    reliable: bool = True

    @classmethod
    def of(cls, payload: bytes, topic: str, reliable: bool) -> Data:
        return cls(payload=base64.b64encode(payload).decode(), topic=topic, reliable=reliable)

    def content(self) -> bytes:
        """The payload. Raises `InvalidInput`."""
        try:
            return base64.b64decode(self.payload, validate=True)
        except binascii.Error as error:
            raise InvalidInput(f"the payload of a data message is no base64: {error}") from None


class Ended(Message):
    """Your stay is over, and this is the last word on the line."""

    type: Literal["ended"] = "ended"
    reason: DisconnectReason


FromParticipant = Hello | Publish | Unpublish | Mute | Description | Candidate | Rebuild | Ping | Pong | Bye
FromControl = (
    Welcome
    | Refused
    | Joined
    | Left
    | Updated
    | Published
    | Unpublished
    | Muted
    | Granted
    | Done
    | Denied
    | Pairing
    | Description
    | Candidate
    | Data
    | Ended
    | Ping
    | Pong
)

M = TypeVar("M")

_FROM_PARTICIPANT: TypeAdapter[FromParticipant] = TypeAdapter(Annotated[FromParticipant, Field(discriminator="type")])
_FROM_CONTROL: TypeAdapter[FromControl] = TypeAdapter(Annotated[FromControl, Field(discriminator="type")])


def read_from_participant(message: bytes) -> FromParticipant:
    """What a participant says. Raises `InvalidInput`, `TooLarge`."""
    return _read(_FROM_PARTICIPANT, message)


def read_from_control(message: bytes) -> FromControl:
    """What the control half says. Raises `InvalidInput`."""
    return _read(_FROM_CONTROL, message)


def in_version(message: Message, version: int) -> Message | None:
    """What somebody who speaks that version is told in the place of a message; None for nothing."""
    if version >= VERSION:
        return message
    match message:
        case Updated():
            return None
        case Joined(participant=person):
            return message.model_copy(update={"participant": person.plain()})
        case Welcome():
            people = tuple(person.plain() for person in message.participants)
            return message.model_copy(update={"version": version, "profile": None, "participants": people})
    return message


def _profile_of(person: ParticipantInfo) -> ProfileBody | None:
    if not (person.metadata or person.attributes):
        return None
    return ProfileBody(name=person.name, metadata=person.metadata, attributes=dict(person.attributes))


def _read(adapter: TypeAdapter[M], message: Any) -> M:
    if not isinstance(message, bytes):
        raise InvalidInput(f"a signalling message is bytes, got {type(message).__name__}")
    if len(message) > MAX_SIGNAL_BYTES:
        raise InvalidInput(f"a signalling message holds at most {MAX_SIGNAL_BYTES} bytes, got {len(message)}")
    try:
        return adapter.validate_json(message)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "it"
        raise InvalidInput(f"this is no signalling message: {where}: {problem['msg']}") from None
