"""`beltline` of a version to come, run as a child process by the test of a rolling upgrade.

Its schema has one migration more: the first phase adds a function that this version calls, the
second removes the one that only the version before needs.
"""

from __future__ import annotations

import sys

from beltline.cli.main import main
from beltline.stores.postgres import schema, statements, store

NEXT_VERSION = "0.2.0"
EXPAND = """
CREATE FUNCTION beltline.hand_over_2(me bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    handed_over bigint;
BEGIN
    PERFORM FROM beltline.node WHERE id = me FOR UPDATE;
    UPDATE beltline.node SET ended_at = clock_timestamp() WHERE id = me AND ended_at IS NULL;
    UPDATE beltline.run SET owner = NULL, ready_at = 0 WHERE owner = me;
    GET DIAGNOSTICS handed_over = ROW_COUNT;
    PERFORM beltline.wake();
    RETURN handed_over;
END $$;
"""
CONTRACT = "DROP FUNCTION beltline.hand_over_1(bigint)"


def become_next() -> None:
    """Makes this process one of the next version."""
    released = schema.migrations()
    added = [schema.Migration(2, "expand", EXPAND), schema.Migration(2, "contract", CONTRACT)]
    schema.migrations = lambda folder=None: [*released, *added]
    statements.HAND_OVER = "SELECT beltline.hand_over_2($1)"
    store.TEND_EVERY_S = 0.5
    store.__version__ = NEXT_VERSION  # type: ignore[attr-defined]


if __name__ == "__main__":
    become_next()
    sys.argv[0] = "beltline"
    main()
