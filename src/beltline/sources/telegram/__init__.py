"""What happens to a bot of Telegram: each update is a request, whether it is sent or fetched."""
