"""The belt: takes in what happens, has the supervisor decide, makes it durable, then acts.

Its coroutines await only the ports of `engine.ports`, so that a seeded scheduler can run them
without asyncio, with a crash at any await.
"""
