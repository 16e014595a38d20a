"""What a call is, and the table that REST and the WebSocket API share."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.trading.venue.front.signature import Use


class Call(msgspec.Struct, kw_only=True):
    """One request, already past authentication and weights."""

    gateway: Gateway
    parameters: Parameters
    now_ns: int
    """The venue's clock as the client sees it."""
    account: str = ""
    """Empty for calls that need no key."""
    use: Use = "trade"
    """What its key is for."""
    address: str = ""
    """Where the call came from."""


Handler = Callable[[Call], Any]
"""Returns what is written as JSON; raises DialectError."""

Weight = int | Callable[[Parameters], int]


class Security(Enum):
    """What a call must prove."""

    NONE = "none"
    KEY = "key"
    """An API key, unsigned."""
    SIGNED = "signed"
    FUNDING = "funding"
    """The token of whoever moves money in and out, in the place of an API key."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A call by its price, proof and effect."""

    handler: Handler
    weight: Weight = 1
    security: Security = Security.NONE
    places_order: bool = False
    """Whether it counts against the order limits."""
    checks_order: bool = False
    """Whether it does all of placing an order but the effect."""

    @property
    def trades(self) -> bool:
        """Whether only a key that may trade may call it."""
        return self.places_order or self.checks_order

    def weigh(self, parameters: Parameters) -> int:
        """The request weight of a call with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)
