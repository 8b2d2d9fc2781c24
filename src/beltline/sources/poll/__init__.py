"""Addresses and databases that are asked now and then for what is new."""
