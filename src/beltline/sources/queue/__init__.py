"""Messages of brokers: each becomes a request, and is acknowledged when that is durable."""
