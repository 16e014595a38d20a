"""Whether every change of a balance is explained by trades and by the venue's own list of transfers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.differences import Difference, DifferenceKind, Differences
from mrmarket.trading.execution.recent import RecentNames
from mrmarket.trading.venue.port import FillReport, TransferReport

_PATIENCE: Final = 6
"""So many grace times without one look that fits are a difference, even if its amount changes each time."""

_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class _Odd:
    """A look that does not fit."""

    amount: Decimal
    since_ns: int
    first_ns: int


class BalanceAudit:
    """Expected totals of base and quote: what was there at the first looks, plus every trade and transfer.

    A look and a trade that is still on its way do not fit each other for a moment; so only what stands with
    the same amount for the grace time is a difference. The expectation begins where two looks agree. What is
    found is never booked: it stands until a trade or a transfer explains it, or the owner accepts it.
    """

    def __init__(
        self,
        instrument: Instrument,
        differences: Differences,
        clock: Clock,
        *,
        grace_ns: int,
        audits: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Nothing is expected before the first look."""
        self.looks = 0
        """Balances looked at so far."""
        self._instrument = instrument
        self._differences = differences
        self._clock = clock
        self._grace_ns = grace_ns
        self.audits = audits
        """Whether nobody else trades an asset with this account through another pair; others are left out."""
        self._expected: dict[str, Decimal] = {}
        self._settled: set[str] = set()
        self._odd: dict[str, _Odd] = {}
        self._carried: dict[str, Decimal] = {}
        self._trades = RecentNames()
        self._transfers = RecentNames()

    @property
    def settled(self) -> bool:
        """Whether the expectation of every asset that is audited has been confirmed by a second look."""
        return all(asset in self._settled for asset in self._assets())

    def carry_over(self) -> None:
        """Differences of an earlier life stand until they are explained: expect less or more by them."""
        for each in self._differences.of_kind(DifferenceKind.BALANCE):
            self._carried[each.subject] = Decimal(each.theirs) - Decimal(each.ours)

    def accept(self, asset: str) -> bool:
        """The owner takes the balance as it is; False if no difference stands."""
        self._carried.pop(asset, None)
        self._forget(asset)
        return self._differences.gone(DifferenceKind.BALANCE, asset, "accepted by the owner")

    def note_trade(self, fill: FillReport) -> None:
        """A trade of the account on this pair, whoever placed its order; a known one changes nothing."""
        if not self._trades.add(fill.trade_id):
            return
        instrument = self._instrument
        size = instrument.size(fill.size_lots) * fill.side.sign
        self._change(instrument.base, size)
        self._change(
            instrument.quote, -fill.side.sign * instrument.notional(fill.price_ticks, fill.size_lots)
        )
        self._change(fill.fee_asset, -Decimal(fill.fee))

    def note_transfers(self, transfers: Iterable[TransferReport]) -> None:
        """The venue's own list; a known one changes nothing."""
        for transfer in transfers:
            if self._transfers.add(transfer.transfer_id):
                self._change(transfer.asset, Decimal(transfer.amount))

    def look(self, totals: Mapping[str, Decimal], double_mid_ticks: int | None) -> None:
        """Compare the venue's totals (free and locked) with what is expected."""
        self.looks += 1
        now_ns = self._clock.monotonic_ns()
        for asset in list(self._expected):
            if asset not in self._assets():
                self._forget(asset)
        for asset in self._assets():
            total = totals.get(asset, _ZERO)
            expected = self._expected.get(asset)
            if expected is None:
                self._expected[asset] = total
                continue
            off = total - expected
            if abs(off) <= self._tolerance(asset, double_mid_ticks):
                self._fits(asset)
            elif asset not in self._settled:
                self._expected[asset] = total
            else:
                self._is_off(asset, off, total, now_ns)

    def _fits(self, asset: str) -> None:
        self._odd.pop(asset, None)
        if asset not in self._settled:
            self._settled.add(asset)
            carried = self._carried.pop(asset, None)
            if carried is not None:
                self._expected[asset] -= carried
                return
        self._differences.gone(DifferenceKind.BALANCE, asset, "trades and transfers explain the balance")

    def _is_off(self, asset: str, off: Decimal, total: Decimal, now_ns: int) -> None:
        odd = self._odd.get(asset)
        if odd is None:
            odd = self._odd[asset] = _Odd(off, now_ns, now_ns)
        elif odd.amount != off:
            odd.amount, odd.since_ns = off, now_ns
        stands = now_ns - odd.since_ns >= self._grace_ns
        if stands or now_ns - odd.first_ns >= _PATIENCE * self._grace_ns:
            self._differences.found(
                Difference(
                    DifferenceKind.BALANCE,
                    asset,
                    format_decimal(self._expected[asset]),
                    format_decimal(total),
                    f"{format_decimal(off)} {asset} that no trade and no transfer explains",
                )
            )

    def _assets(self) -> list[str]:
        pair = (self._instrument.base, self._instrument.quote)
        return [asset for asset in pair if self.audits(asset)]

    def _tolerance(self, asset: str, double_mid_ticks: int | None) -> Decimal:
        """One lot, or what it is worth: less than the smallest trade."""
        instrument = self._instrument
        if asset == instrument.base:
            return instrument.lot_size
        return instrument.notional(max((double_mid_ticks or 0) // 2, 1), 1)

    def _change(self, asset: str, amount: Decimal) -> None:
        if asset in self._expected:
            self._expected[asset] += amount

    def _forget(self, asset: str) -> None:
        self._expected.pop(asset, None)
        self._odd.pop(asset, None)
        self._settled.discard(asset)
