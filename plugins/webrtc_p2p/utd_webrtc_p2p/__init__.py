"""WebRTC peer to peer, with aiortc: 1:1 calls without a media server.

This release looks at the machine (`utd doctor`) and registers no media backend.
"""
