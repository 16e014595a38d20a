"""A run on two venues of one pair: what they have in common, and what is worth what between them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.execution.leg_pair import parse_leg_slot
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.strategy.arbitrage.common_grid import common_grid
from mrmarket.trading.strategy.arbitrage.pair_record import PairRecord
from mrmarket.trading.strategy.cross_port import CrossDecision, WashTradeRefusedError
from mrmarket.trading.strategy.multileg.host import MultiLegRun
from mrmarket.trading.strategy.multileg.setting import Place, RunSetting
from mrmarket.trading.strategy.multileg.side import MarketSide

_PAIRS_KEPT: Final = 500


class TwoVenueRun(MultiLegRun):
    """What every run on two venues has in common, whatever it trades between them."""

    def __init__(
        self,
        places: tuple[Place, Place],
        symbol: str,
        leg_rules: LegRules,
        journal: OrderJournal,
        setting: RunSetting,
        *,
        rules: RefreshRules | None = None,
    ) -> None:
        """As the subclasses; `rules`: of the quotes on the first venue, None where there are none.

        Raises:
            WashTradeRefusedError: both places are one exchange.
        """
        instruments = tuple(place.venue.instrument(symbol) for place in places)
        markets = tuple(place.market or each.venue for place, each in zip(places, instruments, strict=True))
        if markets[0] == markets[1]:
            raise WashTradeRefusedError(markets[0])
        if places[0].venue.name == places[1].venue.name:
            raise InvalidInputError("venues", places[0].venue.name, "two venues with different names")
        self.grid = common_grid(instruments[0], instruments[1])
        self.decision: CrossDecision | None = None
        """The last one, with what was found in either direction."""
        self.pairs: deque[PairRecord] = deque(maxlen=_PAIRS_KEPT)
        """Pairs that are over, the newest last; since this start."""
        super().__init__(
            [replace(place, symbol=symbol) for place in places],
            journal,
            setting,
            leg_rules=leg_rules,
            rules=rules,
        )

    @property
    def mid(self) -> Decimal | None:
        """Mean of both venues' mids; None until both have one."""
        mids = []
        for side in self.sides:
            double = side.watch.double_mid_ticks
            if double is None:
                return None
            mids.append(double * side.instrument.tick_size / 2)
        return (mids[0] + mids[1]) / 2

    @property
    def pnl_quote(self) -> Decimal | None:
        """What trading has earned on both venues since the first start, at the mid; None without one."""
        mid = self.mid
        if mid is None:
            return None
        return sum((side.totals.pnl_quote(mid) for side in self.sides), Decimal(0))

    @property
    def worth_quote(self) -> Decimal | None:
        """What both accounts are worth now; None until prices and balances are known."""
        mid = self.mid
        accounts = [side.execution.account for side in self.sides]
        if mid is None or not all(account.is_known for account in accounts):
            return None
        return sum((account.base_total * mid + account.quote_total for account in accounts), Decimal(0))

    def owns(self, side: MarketSide, record: OrderRecord) -> bool:
        """A leg's slot says its venue; quotes stand on the first one."""
        place = parse_leg_slot(record.slot)
        return side.number == (0 if place is None else place[0])

    def _valued(self) -> tuple[Decimal | None, Decimal | None]:
        return self.pnl_quote, self.worth_quote

    def _not_flattened(self, reason: str) -> str:
        return f"it works with base on both venues ({reason}); pause it, then rebalance"
