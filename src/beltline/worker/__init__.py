"""Workers: a file of modules served outside of the hub, over HTTP or from a queue."""
