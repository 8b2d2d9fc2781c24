"""Where requests come in: reading, verifying and identifying what a sender sent."""
