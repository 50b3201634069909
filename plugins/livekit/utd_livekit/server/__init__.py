"""The LiveKit server: where one comes from, and one of our own on loopback for tests, demos and development."""
