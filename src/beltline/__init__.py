"""Beltline: an integration hub that carries every accepted request to its end."""

__version__ = "0.1.0"
