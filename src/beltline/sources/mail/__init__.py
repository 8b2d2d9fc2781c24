"""Mails of a mailbox: each becomes a request, and is marked when that is durable."""
