"""Modules out of an OpenAPI document: one for each operation of a service.

`beltline modules import` keeps the document in a home's `modules/`, beside a file that calls
`modules_of`. So the document is in git, and what it says is seen, checked and tested like any
module.
"""

from beltline.modules.openapi.building import modules_of

__all__ = ["modules_of"]
