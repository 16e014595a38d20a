"""Which outputs to spend: pure, exact, and it tidies up.

The oldest outputs are spent first. Spending is a chance to gather small pieces, so up to `gather` inputs are
taken where there are as many; where the oldest do not suffice, the largest are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mrmarket.partners.mixin.errors import FragmentedError, ShortOfFundsError
from mrmarket.partners.mixin.transaction import MAX_INPUTS

GATHER: Final = 16
"""Inputs that a payment takes along to gather dust: each costs a signature, and none a fee."""


class Coin(msgspec.Struct, frozen=True):
    """An output that can be spent."""

    id: str
    hash: str
    index: int
    units: int
    sequence: int
    """Mixin's running number; the lower the older."""
    keys: tuple[str, ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """What to spend, and what comes back."""

    coins: tuple[Coin, ...]
    change: int


def choose(coins: Sequence[Coin], units: int, *, gather: int = GATHER, most: int = MAX_INPUTS) -> Choice:
    """Coins for so many units, the exact change, at most `most` of them.

    Raises:
        ShortOfFundsError: if all of them together do not suffice.
        FragmentedError: if no `most` of them do.
    """
    held = sum(coin.units for coin in coins)
    if held < units or units <= 0:
        raise ShortOfFundsError(units, held)
    by_age = sorted(coins, key=lambda coin: (coin.sequence, coin.id))
    taken = _until(by_age, units, most)
    if taken is None:
        by_size = sorted(coins, key=lambda coin: (-coin.units, coin.sequence, coin.id))
        taken = _until(by_size, units, most)
        if taken is None:
            raise FragmentedError(units, sum(coin.units for coin in by_size[:most]))
    spare = min(gather, most) - len(taken)
    if spare > 0:
        chosen = {coin.id for coin in taken}
        by_dust = sorted(coins, key=lambda coin: (coin.units, coin.sequence, coin.id))
        taken += [coin for coin in by_dust if coin.id not in chosen][:spare]
    return Choice(tuple(taken), sum(coin.units for coin in taken) - units)


def extend(kept: Sequence[Coin], free: Sequence[Coin], units: int, *, most: int = MAX_INPUTS) -> Choice:
    """The same coins as before for more units, and as many others as that takes.

    Two transactions that share a coin exclude each other: one of them at most is ever made.

    Raises:
        ShortOfFundsError, FragmentedError: as `choose`.
    """
    lacking = units - sum(coin.units for coin in kept)
    more: tuple[Coin, ...] = ()
    if lacking > 0:
        more = choose(free, lacking, gather=0, most=most - len(kept)).coins
    coins = (*kept, *more)
    return Choice(coins, sum(coin.units for coin in coins) - units)


def gather_all(coins: Sequence[Coin], *, most: int = MAX_INPUTS) -> Choice | None:
    """The smallest coins, as many as one transaction takes, to be made one; None where there is no need."""
    small = sorted(coins, key=lambda coin: (coin.units, coin.sequence, coin.id))[:most]
    return Choice(tuple(small), sum(coin.units for coin in small)) if len(small) > 1 else None


def _until(coins: Sequence[Coin], units: int, most: int) -> list[Coin] | None:
    total = 0
    for count, coin in enumerate(coins[:most], 1):
        total += coin.units
        if total >= units:
            return list(coins[:count])
    return None
