"""LiveKit: rooms of any size over an SFU.

This release looks at the machine (`utd doctor`) and registers no media backend.
"""
