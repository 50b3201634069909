"""What people do: audio rooms, live streams, calls, and how each begins, stays and ends."""
