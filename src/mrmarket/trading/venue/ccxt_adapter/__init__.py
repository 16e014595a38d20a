"""Any exchange of ccxt behind the port. Only `client` imports ccxt."""

from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
from mrmarket.trading.venue.ccxt_adapter.faults import (
    ClockSkewError,
    MalformedAnswerError,
    UnknownExchangeError,
)
from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue

__all__ = [
    "CcxtVenue",
    "CcxtVenueConfig",
    "ClockSkewError",
    "MalformedAnswerError",
    "UnknownExchangeError",
    "VenueUrls",
]
