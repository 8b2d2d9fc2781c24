"""The HTTP API: where requests come in, and where people and programs look and decide."""
