"""Modules that write to people by a bot of Telegram."""
