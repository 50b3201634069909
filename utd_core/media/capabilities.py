"""What a backend declares that it can do. A contract test is skipped only for a capability declared here."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from .codec import VideoCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Each field is a statement of the backend's author; `doc(name)` gives the sentence for a report."""

    audio: bool = True
    """Carries audio tracks."""
    video: bool = True
    """Carries camera video tracks."""
    screen_share: bool = True
    """Carries screen-share tracks as sources of their own."""
    data: bool = True
    """Carries data messages between participants."""
    data_lossy: bool = True
    """Offers unordered, unreliable data besides reliable data."""
    data_targeted: bool = True
    """Sends data to chosen participants only."""
    data_topics: bool = True
    """Labels data messages with a topic."""
    control: bool = True
    """Has a server side: rooms, grants, removal and listing are enforced away from the client."""
    server_mute: bool = True
    """The server side can mute a published track."""
    grants_live: bool = True
    """A changed grant takes effect while the participant is connected."""
    notifications: bool = True
    """Reports joins, leaves and tracks to the engine (webhooks or polling)."""
    webhooks: bool = False
    """The media server posts what it has to tell, and whoever serves the engine hands it to `MediaControl.receive`."""
    token_expiry: bool = True
    """Join tokens end by themselves after their time to live."""
    duplicate_identity: bool = True
    """A second connection with an identity replaces the first one."""
    selective_subscription: bool = True
    """A participant can refuse and take single remote tracks."""
    simulcast: bool = False
    """Publishes a video track in several qualities at once."""
    adaptive_stream: bool = True
    """Stops sending a subscribed video that nobody reads."""
    exact_media: bool = False
    """Frames arrive bit for bit as they were published (no codec between)."""
    active_speakers: bool = False
    """Tells who speaks now, and how loud."""
    connection_quality: bool = False
    """Tells how well each participant is connected."""
    profiles: bool = False
    """Carries metadata and attributes of participants, which the server side can change while they are connected."""
    resumes: bool = True
    """A lost signal connection is resumed without the application rejoining."""
    e2ee: bool = False
    """Encrypts sound, pictures and data from end to end, with a key that its server does not have."""
    signalling: bool = False
    """Has no media server: participants signal over the engine, which `ConnectOptions.signalling` carries."""
    virtual_time: bool = False
    """Every wait runs on the injected clock, so tests need no real time."""
    max_participants: int | None = None
    """Most participants in one room; None is no limit of the backend's own."""
    max_data_bytes: int = 15_000
    """Largest data message, bytes."""
    sample_rates: frozenset[int] = frozenset({48_000})
    """Audio rates (Hz) that are carried without resampling."""
    video_codecs: frozenset[VideoCodec] = frozenset()
    """Codecs in which a video can be asked to be published; none where there is nothing to choose."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `utd plugins` and reports."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["sample_rates"] = sorted(self.sample_rates)
        plain["video_codecs"] = sorted(codec.value for codec in self.video_codecs)
        return plain

    @staticmethod
    def doc(name: str) -> str:
        """The sentence under the field `name`. Raises `KeyError` for another name."""
        return _sentences()[name]


@cache
def _sentences() -> dict[str, str]:
    # A string under a field is documentation for readers and tools alike, yet Python keeps it only in the source.
    (definition,) = ast.parse(inspect.getsource(Capabilities)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(sentence))):
                    found[statement.target.id] = inspect.cleandoc(sentence)
    return found
