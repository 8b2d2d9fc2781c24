"""The modules that a hub has: found, checked, described, and ready to be called."""
