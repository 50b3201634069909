"""The media layer: what a plugin implements, and what carries frames to it and from it on every backend.

| module | holds |
|---|---|
| `backend`, `events`, `capabilities`, `faults` | the contract of a media plugin |
| `frames`, `formats`, `options` | the unit of media, the shape of a stream of them, how it is published |
| `quality`, `codec` | the sizes in which a simulcast video can be had, and what it is coded in |
| `encryption` | the key of those who hear and see each other, and that the server does not have |
| `sources` | where frames come from: files, tones, patterns, the application |
| `pump`, `pacing` | from a source into a track, in real time |
| `sinks` | where frames end: WAV, Ogg, MP4, level meters, memory; `record` drains a reader into them |
| `convert`, `analysis` | mono and stereo, I420 and RGBA; the likeness of two recordings |
| `arguments`, `profiles`, `notices` | what every backend checks, keeps of a participant, and tells those who listen |
| `reading`, `forwarding` | the reader that a track is read by; a control half that passes its calls on |
| `tokens`, `signalling`, `speaking`, `conditions` | what a backend needs where no media server does it |

Names are loaded when they are first used: importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .analysis import Correlation, correlate
    from .backend import (
        BackendSpec,
        ConnectionStatistics,
        ConnectOptions,
        FrameReader,
        JoinTicket,
        LocalTrack,
        MediaBackend,
        MediaConnection,
        MediaControl,
        PublishOptions,
        TrackStatistics,
        WireStatistics,
    )
    from .capabilities import Capabilities
    from .codec import VideoCodec
    from .convert import to_i420, to_mono, to_rgba, to_stereo
    from .encryption import EncryptionKey
    from .faults import Fault
    from .formats import AudioFormat, VideoFormat
    from .frames import AudioFrame, Frame, PixelFormat, VideoFrame
    from .options import publish_options
    from .pacing import LatePolicy, Pacer
    from .pump import Pump, PumpStatistics, SourceEnd, pump_track
    from .quality import VideoQuality
    from .signalling import (
        Interruptible,
        LocalSignalling,
        Signalling,
        SignallingDesk,
        SignallingLine,
        SignallingLost,
        SignallingRestored,
    )
    from .sinks.base import Sink, SinkStatistics
    from .sinks.collect import FrameCollector, FrameStream
    from .sinks.container import Mp4Sink, OggSink
    from .sinks.level import Level, LevelMeter, measure
    from .sinks.record import RecordStatistics, record
    from .sinks.wav import WavSink
    from .sources.base import AudioSource, VideoSource
    from .sources.file import FileAudioSource, FileVideoSource
    from .sources.pattern import TestPatternVideoSource, read_counter
    from .sources.push import PushAudioSource, PushVideoSource
    from .sources.synthetic import SilenceAudioSource, ToneAudioSource

_MODULES = {
    "analysis": ("Correlation", "correlate"),
    "backend": (
        "BackendSpec",
        "ConnectOptions",
        "ConnectionStatistics",
        "FrameReader",
        "JoinTicket",
        "LocalTrack",
        "MediaBackend",
        "MediaConnection",
        "MediaControl",
        "PublishOptions",
        "TrackStatistics",
        "WireStatistics",
    ),
    "capabilities": ("Capabilities",),
    "codec": ("VideoCodec",),
    "convert": ("to_i420", "to_mono", "to_rgba", "to_stereo"),
    "encryption": ("EncryptionKey",),
    "faults": ("Fault",),
    "formats": ("AudioFormat", "VideoFormat"),
    "frames": ("AudioFrame", "Frame", "PixelFormat", "VideoFrame"),
    "options": ("publish_options",),
    "pacing": ("LatePolicy", "Pacer"),
    "pump": ("Pump", "PumpStatistics", "SourceEnd", "pump_track"),
    "quality": ("VideoQuality",),
    "signalling": (
        "Interruptible",
        "LocalSignalling",
        "Signalling",
        "SignallingDesk",
        "SignallingLine",
        "SignallingLost",
        "SignallingRestored",
    ),
    "sinks.base": ("Sink", "SinkStatistics"),
    "sinks.collect": ("FrameCollector", "FrameStream"),
    "sinks.container": ("Mp4Sink", "OggSink"),
    "sinks.level": ("Level", "LevelMeter", "measure"),
    "sinks.record": ("RecordStatistics", "record"),
    "sinks.wav": ("WavSink",),
    "sources.base": ("AudioSource", "VideoSource"),
    "sources.file": ("FileAudioSource", "FileVideoSource"),
    "sources.pattern": ("TestPatternVideoSource", "read_counter"),
    "sources.push": ("PushAudioSource", "PushVideoSource"),
    "sources.synthetic": ("SilenceAudioSource", "ToneAudioSource"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AudioFormat",
    "AudioFrame",
    "AudioSource",
    "BackendSpec",
    "Capabilities",
    "ConnectOptions",
    "ConnectionStatistics",
    "Correlation",
    "EncryptionKey",
    "Fault",
    "FileAudioSource",
    "FileVideoSource",
    "Frame",
    "FrameCollector",
    "FrameReader",
    "FrameStream",
    "Interruptible",
    "JoinTicket",
    "LatePolicy",
    "Level",
    "LevelMeter",
    "LocalSignalling",
    "LocalTrack",
    "MediaBackend",
    "MediaConnection",
    "MediaControl",
    "Mp4Sink",
    "OggSink",
    "Pacer",
    "PixelFormat",
    "PublishOptions",
    "Pump",
    "PumpStatistics",
    "PushAudioSource",
    "PushVideoSource",
    "RecordStatistics",
    "Signalling",
    "SignallingDesk",
    "SignallingLine",
    "SignallingLost",
    "SignallingRestored",
    "SilenceAudioSource",
    "Sink",
    "SinkStatistics",
    "SourceEnd",
    "TestPatternVideoSource",
    "ToneAudioSource",
    "TrackStatistics",
    "VideoCodec",
    "VideoFormat",
    "VideoFrame",
    "VideoQuality",
    "VideoSource",
    "WavSink",
    "WireStatistics",
    "correlate",
    "measure",
    "publish_options",
    "pump_track",
    "read_counter",
    "record",
    "to_i420",
    "to_mono",
    "to_rgba",
    "to_stereo",
]


if not TYPE_CHECKING:  # a checker that sees this would take every misspelt name for one of ours

    def __getattr__(name: str) -> object:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
