"""The store in one SQLite file: `store.py` fulfils the port, every other file has one topic."""
