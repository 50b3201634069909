"""Several projects on one server: where they are written down, and how each is at work, rests and ends."""
