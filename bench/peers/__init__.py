"""The peers: the same work in other engines, each in its own process and environment."""
