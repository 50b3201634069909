"""The version of all four distributions: their `pyproject.toml` files read it from here."""

__version__ = "0.1.0"
