"""LiveKit: rooms of any size over an SFU.

`plugin` is what utd-core loads; `backend.LiveKitBackend` has both halves; `server` is one on loopback.
"""
