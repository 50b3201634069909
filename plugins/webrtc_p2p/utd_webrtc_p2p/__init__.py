"""WebRTC peer to peer, with aiortc: 1:1 calls without a media server.

It is an ordinary plugin (entry point group `utd`, name `webrtc_p2p`). `utd_webrtc_p2p.backend` has the backend itself;
importing this package loads no media library.
"""

from __future__ import annotations

from utd_core.version import __version__

__all__ = ["__version__"]
