"""The OpenAPI 3.1 document, made from the command table."""

from .document import document

__all__ = ["document"]
