"""The codecs that a video may be asked to be published in."""

from __future__ import annotations

from enum import StrEnum


class VideoCodec(StrEnum):
    """Every participant must be able to decode it: VP8 and H.264 are what every WebRTC client can."""

    VP8 = "vp8"
    H264 = "h264"
    VP9 = "vp9"
    AV1 = "av1"
