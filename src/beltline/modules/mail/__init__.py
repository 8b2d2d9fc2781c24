"""Modules for electronic mail."""
