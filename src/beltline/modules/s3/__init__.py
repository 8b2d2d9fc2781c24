"""Modules that put, fetch and list the objects of buckets, by S3."""
