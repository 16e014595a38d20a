"""What the ledger refuses to do at all. A broken rule is no error but a recorded `Rejected`."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class LedgerError(MrMarketError):
    """The ledger did not do what was asked; no balance has changed."""

    code = "ledger_error"


class IdempotencyConflictError(LedgerError):
    """A key came back with another content."""

    code = "idempotency_conflict"

    def __init__(self, key: str, seq: int) -> None:
        self.key = key
        self.seq = seq
        super().__init__(f"key {key!r} was used for other content (group {seq}); take a new key")


class LedgerStoppedError(LedgerError):
    """The writer is closed or met an error that it must not write past."""

    code = "ledger_stopped"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the ledger takes no postings ({reason}); open it again and repeat the request")
