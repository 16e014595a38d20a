"""How far the base position is from its target, by the smaller of two readings."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.risk.pretrade import MarketTop

_QUIET_NS: Final = 5 * NS_PER_S


class Position:
    """Base held less the target, in lots.

    Between a fill and the balance report that follows it the account is out of date, and between a transfer
    and now the fold over our fills is. Where both readings agree on the side, the one nearer to the target
    counts; where they do not, the position counts as being on its target.
    """

    def __init__(
        self,
        instrument: Instrument,
        account: Account,
        folded_lots: Callable[[], int],
        target_share: Callable[[], Decimal],
    ) -> None:
        """`folded_lots`: bought less sold, a fold over fills; `target_share`: of the worth, in base."""
        self._instrument = instrument
        self._account = account
        self._folded_lots = folded_lots
        self._target_share = target_share
        self._anchor_lots: int | None = None
        self._seen_lots = 0
        self._moved_ns = 0
        self._tied: tuple[int, int] | None = None
        """(the account's revision, the fold) that were last tied together."""

    def tick(self, now_ns: int, *, settled: bool) -> None:
        """Tie the fold to the account while nothing is on its way; `settled`: no fill is awaited."""
        folded = self._folded_lots()
        if folded != self._seen_lots or not settled:
            self._seen_lots, self._moved_ns = folded, now_ns
        if self._account.is_known and (
            self._anchor_lots is None or (settled and now_ns - self._moved_ns >= _QUIET_NS)
        ):
            tied = (self._account.revision, folded)
            if tied != self._tied:
                self._tied, self._anchor_lots = tied, self._held_lots() - folded

    def gap_lots(self, top: MarketTop) -> int:
        """Positive: more base than wanted. Rounded towards the target."""
        if not self._account.is_known:
            return 0
        mid = top.double_mid_ticks * self._instrument.tick_size / 2
        base, quote = self._account.base_total, self._account.quote_total
        target = self._target_share() * (base + quote / mid) / self._instrument.lot_size
        held = self._held_lots()
        by_account = int(held - target)
        by_fills = (
            by_account if self._anchor_lots is None else int(self._anchor_lots + self._folded_lots() - target)
        )
        if by_account > 0 and by_fills > 0:
            return min(by_account, by_fills)
        if by_account < 0 and by_fills < 0:
            return max(by_account, by_fills)
        return 0

    def _held_lots(self) -> int:
        return int(self._account.base_total / self._instrument.lot_size)
