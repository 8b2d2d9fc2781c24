"""The key that signs the links of approvals: made from `BELTLINE_KEY`, else from `data/key`.

`data/key` is made at the first start, readable by its owner alone. Nodes that share PostgreSQL need
one key between them, so there `BELTLINE_KEY` has to be set; without it they make no links.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping

from beltline.settings import Home

NAME = "BELTLINE_KEY"


def link_key(home: Home, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The key; None where there is none that other nodes would have too. Raises `OSError`."""
    material = environment.get(NAME, "").encode()
    if not material:
        if not home.store_url.startswith("sqlite:"):
            return None
        file = home.data / "key"
        home.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as made:
                made.write(secrets.token_hex(32).encode())
        material = file.read_bytes()
    return hmac.digest(material, b"approval links", "sha256")
