"""Who else is in the pool is for the owner to see."""

from __future__ import annotations

import msgspec

from mrmarket.services.access.identity import Identity
from mrmarket.services.api.schema import PoolView


def for_eyes_of(identity: Identity, view: PoolView) -> PoolView:
    """The pool as this person may see it."""
    return view if identity.role == "admin" else msgspec.structs.replace(view, depositors=[])
