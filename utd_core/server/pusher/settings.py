"""What the sockets of a server are tuned with."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields

from ...errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class PusherSettings:
    """Every number must be above zero. Raises `InvalidInput` when made with another. Times are in seconds.

    Connections
    - `origins`: pages that may connect (`https://example.com`); None lets every page. Clients that are no browser send
      no origin and may always.
    - `connections_per_address`: sockets of one IP address (of IPv6: one /64) at once; None for as many as it
      likes.
    - `activity_timeout`: silence after which either side asks for a sign of life, told to the client in whole seconds;
      `pong_timeout`: how long the answer may take.
    - `close_timeout`: how long a client may take to close; then the connection is cut.
    - `inspect_interval`: between two looks at whether users' tokens are good.

    What a client sends
    - `message_bytes`: one message; `event_bytes`: the data of one event.
    - `messages_per_second`, `message_burst`: messages of one socket; one more closes it.
    - `client_events_per_second`, `client_event_burst`: the same for client events; one more is refused.
    - `channels_per_socket`: subscriptions of one socket.
    - `presence_members`: users in one presence channel; `member_bytes`: what each says of itself.

    What a client is sent
    - `queue_frames`, `queue_bytes`: what may wait for one client that reads slowly.
    - `replay_events`: most events that are replayed to somebody who comes back.
    - `linger`: how long a channel that nobody follows any more is kept at hand for those who come back.

    The trigger API
    - `request_skew`: how far the time in a signature may be from ours.
    - `batch_events`: events in one batch; `trigger_channels`: channels of one event.
    """

    origins: AbstractSet[str] | None = None
    connections_per_address: int | None = 1_000
    activity_timeout: float = 120.0
    pong_timeout: float = 30.0
    close_timeout: float = 5.0
    inspect_interval: float = 10.0
    message_bytes: int = 65_536
    event_bytes: int = 10_240
    messages_per_second: float = 50.0
    message_burst: int = 500
    client_events_per_second: float = 20.0
    client_event_burst: int = 60
    channels_per_socket: int = 200
    presence_members: int = 100
    member_bytes: int = 1_024
    queue_frames: int = 1_024
    queue_bytes: int = 1_048_576
    replay_events: int = 500
    linger: float = 30.0
    request_skew: float = 600.0
    batch_events: int = 10
    trigger_channels: int = 100

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "origins" or (value is None and field.name == "connections_per_address"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InvalidInput(f"pusher setting {field.name} must be a number above zero, got {value!r}")
