"""The supervisor: pure, synchronous decisions about runs.

Nothing here reads a clock, a random source, a file or a socket, so that every decision can be
replayed, explained, simulated, and asked "what if".
"""
