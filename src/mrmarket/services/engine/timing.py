"""How often an engine does what, and how long it waits for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError

_RENEWALS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTiming:
    """Seconds, by the machine's clock."""

    beat_s: float = 1.0
    """From one sign of life to the next."""
    look_s: float = 0.5
    """From one look at leases, specifications and commands to the next."""
    report_s: float = 1.0
    """From one report of a run to the next; longer where there are many."""
    lease_s: float = 6.0
    """After so long without a renewal others may take a run."""
    renew_s: float = 2.0
    dead_s: float = 3.0
    """An engine whose sequence has not advanced for so long counts as gone."""
    patience_s: float = 4.0
    """A free run that its engine has not taken for so long may be taken by anybody."""
    steady_s: float = 2.0
    """An engine must have been seen for so long before it is handed anything."""
    answer_s: float = 5.0
    """After so long without an answer the database counts as gone."""
    back_off_s: float = 1.0
    """Before a run that failed is tried again; doubles with each failure in a row."""
    longest_back_off_s: float = 60.0
    calm_s: float = 60.0
    """A run that has gone so long without failing starts at the shortest wait again."""
    at_once: int = 4
    """Most runs that are being handed over at the same time."""
    starts_at_once: int = 16
    """Most runs that are being recovered at the same time."""

    def __post_init__(self) -> None:
        if not 0 < self.renew_s * _RENEWALS <= self.lease_s:
            raise InvalidInputError("renew_s", self.renew_s, "at most half of lease_s")
        if not self.beat_s < self.dead_s <= self.lease_s:
            raise InvalidInputError("dead_s", self.dead_s, "above beat_s, at most lease_s")

    @property
    def lease_ns(self) -> int:
        """The length of a lease."""
        return int(self.lease_s * NS_PER_S)
