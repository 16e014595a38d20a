"""Which bucket a request takes from."""

from __future__ import annotations

from mrmarket.core.clock import Clock
from mrmarket.services.access.buckets import Buckets, address_key
from mrmarket.services.access.identity import Identity
from mrmarket.services.access.settings import Rates


class Limits:
    """How often one session, or one address without a session, may read, write and sign in."""

    def __init__(self, clock: Clock, rates: Rates) -> None:
        self._reads = Buckets(clock, rates.reads)
        self._writes = Buckets(clock, rates.writes)
        self._sign_ins = Buckets(clock, rates.sign_ins)

    def read(self, identity: Identity, address: str) -> None:
        """Count a read. Raises TooManyRequestsError."""
        self._reads.take(identity.session or address_key(address))

    def write(self, identity: Identity, address: str) -> None:
        """Count something that changes something. Raises TooManyRequestsError."""
        self._writes.take(identity.session or address_key(address))

    def sign_in(self, address: str) -> None:
        """Count an attempt to sign in, by address alone. Raises TooManyRequestsError."""
        self._sign_ins.take(address_key(address))
