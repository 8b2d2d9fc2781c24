"""Everything that a store holds, carried into another one: a move between stores, and the backup of
a store that is in a database.

    old store ──> rows of a table, in the order of its key, of one moment ──> new store
                                     └────────── compared, row by row ──────────┘

`tables.py` says what there is to carry, in the form that both kinds of stores can give and take;
`sqlite.py` and `postgres.py` are the two ends; `carrying.py` is the way between them; `moving.py`
holds the two uses.
"""
