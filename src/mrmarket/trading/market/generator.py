"""A market that never ends: the built-in default where no tape is given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import exp, log
from random import Random
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.arrivals import ClusteredArrivals
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator_parameters import DEFAULT_MARKET, MarketParameters, load_parameters
from mrmarket.trading.market.generator_side import BookSide

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_MAX_PRINTS: Final = 60
_RANGES_ABOVE_ZERO: Final = 4
"""So many times the depth of a side the price stays above 0, so that every level has a price."""

DEFAULT_INSTRUMENT: Final = Instrument(
    venue="binance",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    min_lots=1,
    max_lots=900_000_000,
    min_notional=Decimal(5),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.001"),
)
"""Binance spot's BTC/USDT: grid, limits and standard fees."""

DEFAULT_PARAMETERS: Final = load_parameters(DEFAULT_MARKET)
"""Calibrated to the recorded spot BTC/USDT tape; see `docs/market-generator.md`."""


class MarketGenerator:
    """Makes one seeded market: SNAPSHOT first, then DEPTH, TRADE and TOP events for ever.

    Market orders arrive in clusters and keep their side. Most trade at the best price; some sweep
    several levels, after which the spread is closed around a price that kept part of the move.
    Behind the touch, levels are born and die at a rate that falls with distance. Every trade takes
    its size out of the book, the book never crosses, and update ids have no holes.
    """

    def __init__(
        self, parameters: MarketParameters, instrument: Instrument, seed: int, start_ns: int
    ) -> None:
        """Build the first book.

        Args:
            parameters: what the market is like.
            instrument: whose ticks and lots these are.
            seed: equal seeds give equal markets.
            start_ns: `exchange_ns` of the first event.

        Raises:
            InvalidInputError: the start price is too low for the depth of the book.
        """
        floor_ticks = 2 * _RANGES_ABOVE_ZERO * parameters.depth_range_ticks
        if parameters.start_price_ticks < floor_ticks:
            raise InvalidInputError(
                "start_price_ticks", parameters.start_price_ticks, f"at least {floor_ticks}"
            )
        self.instrument = instrument
        self._parameters = parameters
        self._rng = Random(seed)  # noqa: S311 - a simulation, not a secret
        self._start_ns = start_ns
        self._now_ns = start_ns
        self._bids = BookSide(1)
        self._asks = BookSide(-1)
        self._update_id = 1_000_000
        self._framed_id = self._update_id
        self._trade_id = 0
        self._buying = True
        self._said_top: tuple[Level, Level] | None = None
        self._fair_ticks = float(parameters.start_price_ticks)
        self._touch_targets = {1: 1.0, -1: 1.0}
        self._arrivals = ClusteredArrivals(
            self._rng,
            base_per_s=parameters.order_rate_per_s,
            fast_share=parameters.burst_share,
            fast_decay_per_s=parameters.burst_decay_per_s,
            slow_share=parameters.wave_share,
            slow_decay_per_s=parameters.wave_decay_per_s,
        )
        self._open_book()

    def events(self) -> Iterator[MarketEvent]:
        """The market from its present state on; `exchange_ns` never decreases. Has no end."""
        frame_ns = self._parameters.frame_ms * _NS_PER_MS
        next_frame_ns = self._now_ns + frame_ns
        next_order_ns = self._start_ns + int(self._arrivals.next_s() * _NS_PER_S)
        next_touch_ns = self._now_ns + self._touch_wait_ns()
        refill_ns = 0
        yield self._snapshot()
        while True:
            if refill_ns == 0 and self._asks.best - self._bids.best > 1:
                refill_ns = self._now_ns + self._refill_wait_ns()
            now_ns = min(next_frame_ns, next_order_ns, next_touch_ns)
            if refill_ns and refill_ns < now_ns:
                self._now_ns = refill_ns
                refill_ns = 0
                self._refill()
                yield from self._top()
            elif now_ns == next_order_ns:
                self._now_ns = now_ns
                next_order_ns = max(self._start_ns + int(self._arrivals.next_s() * _NS_PER_S), now_ns)
                yield from self._market_order()
            elif now_ns == next_touch_ns:
                self._now_ns = now_ns
                next_touch_ns = now_ns + self._touch_wait_ns()
                self._change_touch()
                yield from self._top()
            else:
                self._now_ns = now_ns
                next_frame_ns = now_ns + frame_ns
                self._churn()
                if self._update_id != self._framed_id:
                    yield self._depth()

    # What happens

    def _market_order(self) -> Iterator[MarketEvent]:
        p, rng = self._parameters, self._rng
        if rng.random() >= p.same_side_share:
            self._buying = not self._buying
        lots = self._lots(p.order_size_log_mean, p.order_size_log_sd)
        if rng.random() < p.sweep_share:
            self._buying = rng.random() < self._rise_chance()
            ticks = min(int(exp(rng.gauss(p.sweep_ticks_log_mean, p.sweep_ticks_log_sd))), p.sweep_ticks_max)
            side = self._asks if self._buying else self._bids
            self._thin_out(side, ticks, lots)
            yield from self._top()
            reach = side.keys[-1] - ticks
            for key in [key for key in side.keys[: -len(side) // 2 : -1] if key >= reach]:
                yield from self._prints(side, key, side.sizes[key], 1)
            self._fair_ticks += side.sign * -ticks * p.sweep_kept_share
            self._retreat(side)
        else:
            side = self._asks if self._buying else self._bids
            prints = 1
            if rng.random() >= p.single_print_share:
                # A Pareto tail: a few orders meet dozens of resting ones.
                prints = min(int(2 / (1.0 - rng.random()) ** 0.9), _MAX_PRINTS)
            yield from self._prints(side, side.keys[-1], min(lots, side.best_lots), prints)
        self._hold_levels(side)
        yield from self._top()

    def _prints(self, side: BookSide, key: int, lots: int, prints: int) -> Iterator[MarketEvent]:
        """Trade `lots` of one level in up to `prints` pieces."""
        rest = side.sizes[key] - lots
        while lots:
            size = lots if prints <= 1 else max(1, int(lots * self._rng.random() * 2 / prints))
            size = min(size, lots)
            lots -= size
            prints -= 1
            self._trade_id += 1
            self._update_id += 1
            yield MarketEvent(
                kind=EventKind.TRADE,
                exchange_ns=self._now_ns,
                local_ns=self._local_ns(),
                last_id=self._trade_id,
                price_ticks=side.sign * key,
                size_lots=size,
                taker_buys=side is self._asks,
            )
        if rest:
            side.put(key, rest)
        else:
            side.remove(key)

    def _thin_out(self, side: BookSide, ticks: int, lots: int) -> None:
        """Makers see a sweep coming: what stands in its way shrinks to about its size."""
        reach = side.keys[-1] - ticks
        keys = [key for key in side.keys[: -len(side) // 2 : -1] if key >= reach]
        standing = sum(side.sizes[key] for key in keys)
        if standing > lots:
            for key in keys:
                side.put(key, max(1, side.sizes[key] * lots // standing))
                self._update_id += 1

    def _retreat(self, side: BookSide) -> None:
        """Makers on the swept side give up what the fair price has passed, down to half the levels."""
        fair_key = side.sign * self._fair_ticks
        while side.keys[-1] > fair_key and len(side) > self._parameters.depth_levels // 2:
            side.remove(side.keys[-1])
            self._update_id += 1

    def _refill(self) -> None:
        """One step of closing an opened spread around the fair price."""
        bid, ask, rng = self._bids.best, self._asks.best, self._rng
        new_bid = min(max(round(self._fair_ticks), bid), ask - 1)
        new_ask = new_bid + 1
        if rng.random() < 0.5:  # noqa: PLR2004 - half of the steps close it, the others come closer
            if rng.random() < 0.5:  # noqa: PLR2004 - from either side alike
                new_bid = rng.randint(bid, new_bid)
            else:
                new_ask = rng.randint(new_ask, ask)
        if new_bid > bid:
            self._improve(self._bids, new_bid)
        if new_ask < ask:
            self._improve(self._asks, -new_ask)

    def _improve(self, side: BookSide, key: int) -> None:
        """Put a new best level; most of what stood at the old one follows it."""
        old = side.keys[-1]
        follows = self._lots(self._parameters.level_size_log_mean, self._parameters.level_size_log_sd)
        if follows < side.sizes[old]:
            side.put(old, follows)
            self._update_id += 1
        self._touch_targets[side.sign] = self._rng.gammavariate(
            2.0, self._parameters.touch_size_mean_lots / 2
        )
        side.put(key, max(1, int(self._touch_targets[side.sign] * self._rng.random() * 0.2)))
        self._update_id += 1

    def _change_touch(self) -> None:
        """The size at one of the best prices wanders towards its target; sometimes the level goes."""
        p, rng = self._parameters, self._rng
        side = self._bids if rng.random() < 0.5 else self._asks  # noqa: PLR2004 - either side alike
        key = side.keys[-1]
        self._update_id += 1
        if rng.random() < p.touch_cancel_share:
            side.remove(key)
            self._fair_ticks = (self._bids.best + self._asks.best) / 2
            self._hold_levels(side)
            return
        target = self._touch_targets[side.sign]
        lots = side.sizes[key]
        lots += int((target - lots) * 0.3 * rng.random() + target * 0.1 * (rng.random() - 0.5))
        side.put(key, max(1, lots))

    def _churn(self) -> None:
        """Levels behind the touch come and go; those out of range go."""
        p, rng = self._parameters, self._rng
        random = rng.random
        count = int(p.churn_per_frame * (0.5 + random()))
        for _ in range(count):
            side = self._bids if random() < 0.5 else self._asks  # noqa: PLR2004 - either side alike
            if random() * 2 * len(side) < p.depth_levels:
                self._add_level(side)
            else:
                # Never the touch itself (index -1): that is another rule's business.
                behind = len(side) - 1
                side.remove(side.keys[-2 - int(behind * random() ** p.churn_bias)])
            self._update_id += 1
        for side in (self._bids, self._asks):
            lowest = side.keys[-1] - 2 * p.depth_range_ticks
            while side.keys[0] < lowest:
                side.remove(side.keys[0])
                self._update_id += 1

    def _add_level(self, side: BookSide) -> None:
        p, rng = self._parameters, self._rng
        if rng.random() < p.near_share:
            distance = 1 + int(-log(1.0 - rng.random()) * p.near_mean_ticks)
        else:
            distance = 1 + int(p.depth_range_ticks * rng.random() ** p.churn_bias)
        side.put(side.keys[-1] - distance, self._lots(p.level_size_log_mean, p.level_size_log_sd))

    def _hold_levels(self, side: BookSide) -> None:
        """Keep about half of the usual levels: a side never runs dry."""
        for _ in range(self._parameters.depth_levels // 2 - len(side)):
            self._add_level(side)
            self._update_id += 1

    # What is drawn

    def _rise_chance(self) -> float:
        """Chance that a sweep goes up: one half, tilted towards the starting price."""
        p = self._parameters
        if self._bids.best < _RANGES_ABOVE_ZERO * p.depth_range_ticks:
            return 1.0
        mean_ticks = exp(p.sweep_ticks_log_mean + p.sweep_ticks_log_sd**2 / 2)
        sweeps_per_s = p.sweep_share * p.order_rate_per_s / (1 - p.burst_share - p.wave_share)
        pull_per_s = (p.start_price_ticks - self._bids.best) * log(2) / p.reversion_half_life_s
        return min(max(0.5 + pull_per_s / (2 * mean_ticks * p.sweep_kept_share * sweeps_per_s), 0.05), 0.95)

    def _lots(self, log_mean: float, log_sd: float) -> int:
        return max(1, int(exp(self._rng.gauss(log_mean, log_sd))))

    def _touch_wait_ns(self) -> int:
        rate = self._parameters.touch_rate_per_s * self._arrivals.activity
        return 1 + int(-log(1.0 - self._rng.random()) / rate * _NS_PER_S)

    def _refill_wait_ns(self) -> int:
        return 1 + int(-log(1.0 - self._rng.random()) * self._parameters.refill_mean_ms * _NS_PER_MS)

    def _open_book(self) -> None:
        p = self._parameters
        for side, price in ((self._bids, p.start_price_ticks), (self._asks, p.start_price_ticks + 1)):
            self._touch_targets[side.sign] = p.touch_size_mean_lots
            side.put(side.sign * price, max(1, int(p.touch_size_mean_lots)))
            for _ in range(p.depth_levels):
                self._add_level(side)
            side.take_changes()

    # What is said

    def _snapshot(self) -> MarketEvent:
        self._framed_id = self._update_id
        self._bids.take_changes()
        self._asks.take_changes()
        return MarketEvent(
            kind=EventKind.SNAPSHOT,
            exchange_ns=self._now_ns,
            local_ns=self._local_ns(),
            last_id=self._update_id,
            bids=self._bids.levels(),
            asks=self._asks.levels(),
        )

    def _depth(self) -> MarketEvent:
        first_id, self._framed_id = self._framed_id + 1, self._update_id
        return MarketEvent(
            kind=EventKind.DEPTH,
            exchange_ns=self._now_ns,
            local_ns=self._local_ns(),
            first_id=first_id,
            last_id=self._update_id,
            bids=self._bids.take_changes(),
            asks=self._asks.take_changes(),
        )

    def _top(self) -> Iterator[MarketEvent]:
        """The best prices, unless they were said already."""
        bid, ask = (self._bids.best, self._bids.best_lots), (self._asks.best, self._asks.best_lots)
        if (bid, ask) != self._said_top:
            self._said_top = (bid, ask)
            yield MarketEvent(
                kind=EventKind.TOP,
                exchange_ns=self._now_ns,
                local_ns=self._local_ns(),
                last_id=self._update_id,
                bids=[bid],
                asks=[ask],
            )

    def _local_ns(self) -> int:
        return self._now_ns + self._parameters.feed_delay_ms * _NS_PER_MS
