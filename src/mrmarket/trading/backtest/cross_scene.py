"""Two venues as they are played, and everything about a run that does not depend on its strategy."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import msgspec

from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.cross_books import LabVenue, Purse
from mrmarket.trading.backtest.cross_recording import CrossRecording
from mrmarket.trading.backtest.latency import Delays, delays
from mrmarket.trading.backtest.leg_player import PlayPlan
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import Decisions, Pass
from mrmarket.trading.backtest.setting import BacktestSetting
from mrmarket.trading.backtest.tally import Counts, Tally, Trade, samples
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.multileg.amounts import decimal_of


@dataclass(frozen=True, slots=True)
class Scene:
    """Both venues and everything about a run that does not depend on its strategy."""

    recording: CrossRecording
    held: tuple[Decimal, Decimal]
    """Base and quote on both together."""
    share: Fraction
    """Of each level that is there for orders that take."""
    grid: CommonGrid
    common: Instrument
    """Both venues' trades are counted on its grid."""
    full: BacktestSetting
    begin_ns: int
    end_ns: int

    def venues(self) -> tuple[LabVenue, LabVenue]:
        """Half of everything on each."""
        one, two = (
            LabVenue(
                instrument,
                market,
                Purse(int(self.held[0] / 2 // instrument.lot_size), Fraction(self.held[1]) / 2),
                self.share,
            )
            for instrument, market in zip(self.recording.instruments, self.recording.markets, strict=True)
        )
        return one, two

    @property
    def delays(self) -> Delays:
        """How long requests and answers take; the same each time."""
        return delays(self.full.latency, self.full.seed)

    @property
    def plan(self) -> PlayPlan:
        """What a driver needs of the setting."""
        full = self.full
        return PlayPlan(
            self.begin_ns, self.end_ns, full.latency.feed_ns, full.decide_every_ns, full.decision_limit_s
        )

    def counted(
        self,
        label: str,
        mids: Mids,
        trades: list[Trade],
        venues: list[str],
        counts: Counts,
        decisions: Decisions,
    ) -> Pass:
        """Trades as a pass of the report."""
        tally = Tally(self.common, mids, self.begin_ns, self.end_ns)
        points = tally.points(trades, samples(self.begin_ns, self.end_ns, self.full.sample_ns))
        return Pass(
            queue=label,
            totals=tally.totals(trades, points, counts),
            decisions=decisions,
            markouts=tally.markouts(trades),
            curve=tally.curve(points),
            fills=msgspec.structs.replace(tally.fills(trades), venue=venues),
        )

    def held_at_end(self, venues: tuple[LabVenue, LabVenue]) -> dict[str, dict[str, str]]:
        """What lies on each venue."""
        return {
            venue.market: {
                venue.instrument.base: format_decimal(venue.instrument.size(venue.purse.base_lots)),
                venue.instrument.quote: format_decimal(round(decimal_of(venue.purse.quote), 8)),
            }
            for venue in venues
        }
