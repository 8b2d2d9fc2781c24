"""`make bench`: speed and size of the hub, measured beside the machine's own limits and its peers.

`python -m bench` runs everything; README.md says how to read what it prints. The peers run in an
environment of their own that has nothing of this project's requirements, so what they import from
here (`lead.py`, `ports.py`) needs the standard library alone.
"""
