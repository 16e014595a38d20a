"""The row that says who may write, in a form in which an altered one is noticed."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from mrmarket.money.ledger.derivation import Derived, Fault
from mrmarket.store.sql import Sql

LEASE: Final = "ledger-writer"

TAKE_LEASE: Final = (
    "INSERT INTO leases (name, fence, owner, expires_ns) VALUES (?, 1, ?, 0) ON CONFLICT (name)"
    " DO UPDATE SET fence = leases.fence + 1, owner = ? || ' #' || (leases.fence + 1) RETURNING fence"
)
"""Takes what `lease_values` gives, and answers with the new fence."""

_OWNER: Final = re.compile(r"(?P<owner>.*) (?P<digest>[0-9a-f]{16}) #(?P<fence>[1-9][0-9]*)", re.DOTALL)


def lease_values(owner: str) -> tuple[str, str, str]:
    """The lease's name, and its owner as it stands at first and later: with a digest and the fence."""
    marked = f"{owner} {_digest(owner)}"
    return LEASE, f"{marked} #1", marked


def check_lease(sql: Sql, derived: Derived) -> None:
    """Compare the row with itself and with the log.

    Raises:
        Fault: if it was altered, or the log has a later writer.
    """
    for name, fence, owner, expires_ns in sql.rows("SELECT name, fence, owner, expires_ns FROM leases"):
        found = _OWNER.fullmatch(owner)
        if (
            found is None
            or (name, expires_ns) != (LEASE, 0)
            or found["digest"] != _digest(found["owner"])
            or int(found["fence"]) != fence
        ):
            raise Fault(None, f"leases: the row of {name!r} is not what was written")
        if fence < derived.epoch:
            raise Fault(
                None, f"leases: the log has a writer with fence {derived.epoch}, the lease says {fence}"
            )


def _digest(owner: str) -> str:
    return sha256(f"{LEASE}\0{owner}".encode()).hexdigest()[:16]
