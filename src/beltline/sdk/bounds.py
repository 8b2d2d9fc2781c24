"""What a handler may hold: the bounds of the hub that concern modules."""

from __future__ import annotations

import msgspec


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds, under the names that a message is to tell (`message` makes one)."""

    result_bytes: int
    module_rows: int
    module_file_bytes: int
    module_unpacked_bytes: int
    module_cells: int
    xml_nodes: int
    request_depth: int
