"""What the mock declares: everything, because it does everything (there is no codec to get in the way)."""

from __future__ import annotations

from utd_core.media.capabilities import Capabilities
from utd_core.media.codec import VideoCodec
from utd_core.media.faults import Fault
from utd_core.media.frames import SAMPLE_RATES

MAX_DATA_BYTES = 15_000

CAPABILITIES = Capabilities(
    simulcast=True,
    active_speakers=True,
    connection_quality=True,
    profiles=True,
    exact_media=True,
    virtual_time=True,
    e2ee=True,
    video_codecs=frozenset(VideoCodec),
    max_data_bytes=MAX_DATA_BYTES,
    sample_rates=SAMPLE_RATES,
)
"""`simulcast`: there is no codec, so the smaller layers are made by the server, of the frames that were written and
only while somebody receives them; its snapshot counts them. `e2ee`: nothing is encrypted here, and yet nobody gets what
would need another key. `video_codecs`: all are the same here, so that what asks for one runs unchanged."""

FAULTS = frozenset(Fault)
