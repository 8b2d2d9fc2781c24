"""What runs in a process of its own: each prints what it measured as one JSON object."""
