"""How to reach one account on one exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from mrmarket.core.errors import InvalidInputError

_EXCHANGE_ID: Final = re.compile(r"[a-z0-9_]{2,40}", re.ASCII)
_MAX_RECV_WINDOW_MS: Final = 2000
"""An order that arrives later than this was quoted on another market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueUrls:
    """Another host that speaks the exchange's dialect; empty means the exchange's own."""

    rest: str = ""
    """Scheme, host and port, `http://127.0.0.1:8090`; a path the dialect adds itself may follow."""
    ws: str = ""
    """The stream's address (Binance: the one that takes SUBSCRIBE; OKX: up to `/ws/v5`; Bybit: the host)."""
    ws_api: str = ""
    """Binance only: the WebSocket API's address, where the user stream lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CcxtVenueConfig:
    """One account on one exchange of ccxt. Secrets never show in its repr."""

    exchange: str = "binance"
    """ccxt's id of the exchange."""
    name: str = ""
    """What the venue is called in facts and errors; the id where empty."""
    symbols: tuple[str, ...] = ()
    """The pairs to be traded, `BTC/USDT`: `open` checks them and forgets all others; empty keeps all."""
    api_key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    public_only: bool = False
    """Market data alone: no clock, no fees, no account; trading is refused."""
    urls: VenueUrls = VenueUrls()
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options for ccxt's own `options`."""
    dead_man_path: str = ""
    """Path of a signed call like Binance futures' `countdownCancelAll`, where a host has one for spot."""
    recv_window_ms: int = _MAX_RECV_WINDOW_MS
    timeout_ms: int = 5000
    """After this a request's outcome is unknown."""
    book_limit: int = 0
    """Levels to subscribe to where the exchange offers a choice; 0 is the dialect's own choice."""
    max_pending_events: int = 10_000
    """A reader of market events that falls further behind is given a fresh snapshot instead."""
    maker_fee: Decimal | None = None
    """Overrides what the exchange says; negative is a rebate."""
    taker_fee: Decimal | None = None

    def __post_init__(self) -> None:
        if not _EXCHANGE_ID.fullmatch(self.exchange):
            raise InvalidInputError("exchange", self.exchange, "an exchange id of ccxt, such as binance")
        if not 1 <= self.recv_window_ms <= _MAX_RECV_WINDOW_MS:
            raise InvalidInputError(
                "recv_window_ms", self.recv_window_ms, f"1 to {_MAX_RECV_WINDOW_MS} milliseconds"
            )
        if self.timeout_ms < 1:
            raise InvalidInputError("timeout_ms", self.timeout_ms, "at least 1 millisecond")

    @property
    def venue_name(self) -> str:
        """The name in facts and errors."""
        return self.name or self.exchange

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(text for text in (self.api_key, self.secret, self.password) if text)
