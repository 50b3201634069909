"""The media backend is watched and made to match: who is there, what they may do, which rooms it has."""
