"""How calls reach their handlers: inside the hub by an event, and from later on HTTP and queues."""
