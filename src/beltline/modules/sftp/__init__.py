"""Modules that put, fetch and list files behind SFTP."""
