"""The media room of a session, without any rules: its connection, what is published, what is received."""
