"""How outside systems that do not speak HTTP are connected to: once, for sources and modules."""
