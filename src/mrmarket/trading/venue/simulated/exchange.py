"""The simulated exchange: several markets, shared accounts, one order of events. First signatures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.event import Level, MarketEvent
from mrmarket.trading.venue.port import NewOrder
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    ExchangeOrder,
    ExchangeTrade,
    Publication,
    PublicTrade,
    SelfTrade,
)

DEFAULT_BALANCES: Final[Mapping[str, int]] = MappingProxyType(
    {"BTC": 10 * UNITS_PER_WHOLE, "USDT": 1_000_000 * UNITS_PER_WHOLE}
)


class SimulatedExchange:
    """Synchronous and deterministic: every call that changes something is told the time."""

    def __init__(self, *, compiled: bool = False) -> None:
        raise NotImplementedError

    def add_market(self, instrument: Instrument) -> None:
        """List a pair."""
        raise NotImplementedError

    def add_account(self, name: str, balances: Mapping[str, int] | None = None) -> None:
        """Open an account; default 10 BTC and 1,000,000 USDT. Units of 1e-8."""
        raise NotImplementedError

    @property
    def instruments(self) -> list[Instrument]:
        """Every listed pair."""
        raise NotImplementedError

    @property
    def accounts(self) -> list[str]:
        """Every account."""
        raise NotImplementedError

    def on_market(self, symbol: str, event: MarketEvent, now_ns: int) -> None:
        """Take in history (SNAPSHOT, DEPTH, TRADE; TOP is ignored)."""
        raise NotImplementedError

    def place(
        self,
        account: str,
        order: NewOrder,
        now_ns: int,
        *,
        self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER,
    ) -> ExchangeOrder:
        """Place; returns a copy after immediate matching; raises ExchangeRefusedError."""
        raise NotImplementedError

    def cancel(
        self, account: str, symbol: str, *, order_id: int = 0, client_order_id: str = "", now_ns: int
    ) -> ExchangeOrder:
        """Cancel one open order; raises ExchangeRefusedError(CANCEL_UNKNOWN)."""
        raise NotImplementedError

    def cancel_all(self, account: str, symbol: str, now_ns: int) -> list[ExchangeOrder]:
        """Cancel every open order of a pair (an empty list when there is none)."""
        raise NotImplementedError

    def order(
        self, account: str, symbol: str, *, order_id: int = 0, client_order_id: str = ""
    ) -> ExchangeOrder:
        """Look one order up; raises ExchangeRefusedError(NO_SUCH_ORDER)."""
        raise NotImplementedError

    def open_orders(self, account: str, symbol: str | None = None) -> list[ExchangeOrder]:
        """Live orders, oldest first."""
        raise NotImplementedError

    def all_orders(self, account: str, symbol: str) -> list[ExchangeOrder]:
        """Live and remembered closed orders, oldest first."""
        raise NotImplementedError

    def trades(self, account: str, symbol: str, *, order_id: int = 0) -> list[ExchangeTrade]:
        """Remembered trades, oldest first."""
        raise NotImplementedError

    def balances(self, account: str) -> dict[str, tuple[int, int]]:
        """`{asset: (free, locked)}` in units of 1e-8."""
        raise NotImplementedError

    def depth(self, symbol: str, limit: int = 100) -> tuple[int, list[Level], list[Level]]:
        """`(last_update_id, bids best first, asks best first)`."""
        raise NotImplementedError

    def public_trades(self, symbol: str, limit: int = 500) -> list[PublicTrade]:
        """The latest prints, oldest first."""
        raise NotImplementedError

    def drain(self) -> list[Publication]:
        """Everything published since the last call, in order."""
        raise NotImplementedError

    def state(self) -> bytes:
        """Accounts, orders, trades and counters as bytes."""
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        """Take over a `state()`; markets must be listed first, books come with the next SNAPSHOT."""
        raise NotImplementedError
