"""A process that serves: what it is put together from, where it listens, how connections come and go."""
