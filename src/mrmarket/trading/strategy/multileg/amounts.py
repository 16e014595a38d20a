"""Exact amounts of assets, and what a trade changes in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Final, Protocol

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side

Amounts = Mapping[str, Fraction]
"""Asset to amount; what is not named is 0."""

_UNIT: Final = Decimal("1e-8")
"""Venues keep balances in no smaller unit; a seller gets no part of one."""


def decimal_of(value: Fraction) -> Decimal:
    """A fraction as a decimal of the context's precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)


class Pair(Protocol):
    """What an amount is of; an `Instrument` is one."""

    @property
    def base(self) -> str:
        """What is traded."""
        ...

    @property
    def quote(self) -> str:
        """What it is traded for."""
        ...


def changes_of(
    pair: Pair, side: Side, notional: Decimal, size: Decimal, fee: Decimal, fee_asset: str
) -> dict[str, Fraction]:
    """What a trade changed: base, quote and the fee's asset."""
    if side is Side.SELL:
        notional = notional.quantize(_UNIT, ROUND_DOWN)
    found = {
        pair.base: side.sign * Fraction(size),
        pair.quote: -side.sign * Fraction(notional),
    }
    found[fee_asset] = found.get(fee_asset, Fraction(0)) - Fraction(fee)
    return found


def added(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    """Both together."""
    total = dict(one)
    for asset, amount in other.items():
        total[asset] = total.get(asset, Fraction(0)) + amount
    return total


def summed(many: Iterable[Amounts]) -> dict[str, Fraction]:
    """All together."""
    total: dict[str, Fraction] = {}
    for each in many:
        total = added(total, each)
    return total


def in_words(amounts: Amounts) -> str:
    """What is held, for people, such as `0.5 ETH and 3 BTC`; `nothing` where all is 0."""
    told = [
        f"{format_decimal(round(decimal_of(amount), 8))} {asset}"
        for asset, amount in sorted(amounts.items())
        if amount
    ]
    return " and ".join(told) or "nothing"
