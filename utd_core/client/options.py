"""What a client may be made with, besides who it is and how it reaches the engine."""

from __future__ import annotations

from typing import TypedDict

from ..media.encryption import EncryptionKey
from .media.devices import CameraFactory, MicrophoneFactory
from .policy import RetryPolicy


class ClientOptions(TypedDict, total=False):
    """The options of `UTDStreamClient`, which explains each."""

    microphone: MicrophoneFactory | None
    camera: CameraFactory | None
    adaptive_stream: bool
    simulcast: bool
    dynacast: bool
    e2ee: EncryptionKey | None
    retry: RetryPolicy | None
    grant_timeout: float
    connect_deadline: float
