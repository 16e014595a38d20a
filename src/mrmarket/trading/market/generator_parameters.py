"""What a generated market is made of."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Final

import msgspec

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class MarketParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market in ticks, lots and seconds. `tools/calibrate_market.py` measures them on real tapes."""

    start_price_ticks: _Count
    """First best bid, and the price that is slowly reverted to."""
    reversion_half_life_s: _Positive

    order_rate_per_s: _Positive
    """Market orders that come by themselves; each may set off others (Hawkes process)."""
    burst_share: _Share
    """Expected orders that one sets off at once."""
    burst_decay_per_s: _Positive
    wave_share: _Share
    """Expected orders that one sets off over seconds; with `burst_share` below 1."""
    wave_decay_per_s: _Positive
    same_side_share: _Share
    """How often an order has the side of the one before."""
    order_size_log_mean: float
    """Sizes are log-normal in lots."""
    order_size_log_sd: _Positive
    single_print_share: _Share
    """Orders that meet one resting order only; the others meet a heavy-tailed number."""

    sweep_share: _Share
    """Orders that run through every level within a distance and move the price."""
    sweep_ticks_log_mean: float
    sweep_ticks_log_sd: _Positive
    sweep_ticks_max: _Count
    sweep_kept_share: _Positive
    """Part of a sweep's distance by which the price moves: below 1 some of it is quoted back, above
    1 the makers retreat further than the orders went."""
    refill_mean_ms: _Positive
    """Mean time of one step of closing an opened spread."""

    touch_rate_per_s: _Positive
    """Changes of size at the best prices, in a market of average activity."""
    touch_size_mean_lots: _Positive
    touch_cancel_share: _Share
    """Touch changes that remove the best level."""

    depth_levels: Annotated[int, msgspec.Meta(ge=10)]
    """Levels kept on a side."""
    depth_range_ticks: _Count
    """Distance from the best price within which they stand."""
    near_share: _Share
    """New levels that are put right behind the best price."""
    near_mean_ticks: _Positive
    level_size_log_mean: float
    level_size_log_sd: _Positive
    churn_per_frame: _Positive
    """Levels away from the touch that change in one depth frame."""
    churn_bias: _Positive
    """1 changes all levels alike; larger values change those near the touch more often."""

    frame_ms: _Count = 100
    """Time between two DEPTH events."""
    feed_delay_ms: _Count = 2
    """By how much `local_ns` is behind `exchange_ns`."""


def load_parameters(name: str) -> MarketParameters:
    """Read one market of the committed calibration, such as `BTC/USDT`; raises KeyError."""
    text = files("mrmarket.trading.market").joinpath("generator_defaults.json").read_bytes()
    return msgspec.json.decode(text, type=_Calibration).markets[name].parameters


class _Calibrated(msgspec.Struct):
    parameters: MarketParameters


class _Calibration(msgspec.Struct):
    markets: dict[str, _Calibrated]


DEFAULT_MARKET: Final = "BTC/USDT"
