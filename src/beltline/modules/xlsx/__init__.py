"""Modules that read and write the sheets of xlsx."""
