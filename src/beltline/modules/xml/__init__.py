"""Modules that read and write XML."""
