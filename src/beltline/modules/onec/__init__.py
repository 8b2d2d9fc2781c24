"""Modules for 1C:Enterprise, over the standard interface OData of an infobase."""
