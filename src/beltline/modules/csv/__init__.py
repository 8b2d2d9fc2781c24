"""Modules that read and write CSV."""
