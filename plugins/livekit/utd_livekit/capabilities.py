"""What LiveKit declares, and the faults that can be produced on it for real."""

from __future__ import annotations

from utd_core.media.capabilities import Capabilities
from utd_core.media.codec import VideoCodec
from utd_core.media.faults import Fault

MAX_DATA_BYTES = 15_000
"""What LiveKit recommends at most for one packet."""

NEWS_DELAY = 3.0
"""LiveKit collects the news of those who publish nothing; who came and went meanwhile is never told."""

CAPABILITIES = Capabilities(
    webhooks=True,
    active_speakers=True,
    connection_quality=True,
    profiles=True,
    simulcast=True,
    e2ee=True,
    max_data_bytes=MAX_DATA_BYTES,
    sample_rates=frozenset({48_000}),
    video_codecs=frozenset(VideoCodec),
)

FAULTS = frozenset(Fault)
"""All of them, on a server of one's own; elsewhere those that nothing on the way to it is needed for."""
