"""Modules that read and write JSON."""
