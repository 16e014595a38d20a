"""What an Angel is put in charge of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mrmarket.angel.port import WatchedVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One instance: its venues, and how its orders are known."""

    name: str
    """The Angel's node name; leases that it seizes are owned by it."""
    venues: Sequence[WatchedVenue]
    instance_prefix: str
    """What every client order id of the instance begins with."""
    run_prefix: Callable[[str], str]
    """What every client order id of a run begins with."""
    symbols: Callable[[], Mapping[str, Sequence[str]]] = dict
    """Pairs by venue, for the dead man's switch."""
    host: str = ""
    pid: int = 0
    leaves_with_instance: bool = False
    """Whether to end once every engine has signed off, or the exchange has ended with its instance."""
