"""Modules that put a message to a broker."""
