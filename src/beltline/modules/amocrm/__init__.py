"""Modules for amoCRM (Kommo), over its API of version 4 and a long-lived token."""
