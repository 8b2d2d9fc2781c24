"""Definition files (processes, sources, connections) -> checked types of `core`.

Reading never stops at the first mistake: every finding has its file, line and column, and what to
write instead.
"""
