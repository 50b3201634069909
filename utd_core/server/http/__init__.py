"""Commands over HTTP: one route for each command of the table."""
