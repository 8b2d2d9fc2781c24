"""The one way out of the hub: an HTTP client that checks each address before it connects."""
