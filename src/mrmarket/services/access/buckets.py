"""Token buckets: how often somebody may ask."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.services.access.errors import TooManyRequestsError

_MAX_KEYS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once."""

    per_s: float
    burst: int


class Buckets:
    """One bucket a key; a key nobody has used for long is full again and needs no bucket.

    The oldest buckets are let go when there are too many: a flood from many addresses fills memory no
    further, and each of its addresses still has a bucket of its own while it floods.
    """

    def __init__(self, clock: Clock, rate: Rate) -> None:
        self._clock = clock
        self._cost_ns = int(NS_PER_S / rate.per_s)
        self._depth_ns = self._cost_ns * rate.burst
        self._full_ns: dict[str, int] = {}
        """When each bucket would be full again (the virtual scheduling form of a token bucket)."""

    def take(self, key: str) -> None:
        """Take one token.

        Raises:
            TooManyRequestsError: none is there; with the seconds until one is.
        """
        now_ns = self._clock.monotonic_ns()
        full_ns = max(self._full_ns.get(key, 0), now_ns) + self._cost_ns
        over_ns = full_ns - now_ns - self._depth_ns
        if over_ns > 0:
            raise TooManyRequestsError(-(-over_ns // NS_PER_S))
        self._full_ns[key] = full_ns
        if len(self._full_ns) > _MAX_KEYS:
            self._tidy(now_ns)

    def _tidy(self, now_ns: int) -> None:
        self._full_ns = {key: full_ns for key, full_ns in self._full_ns.items() if full_ns > now_ns}
        while len(self._full_ns) > _MAX_KEYS // 2:
            del self._full_ns[next(iter(self._full_ns))]


def address_key(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{parsed.exploded[:19]}::/64"
    return str(parsed)
