"""Assets and exact amounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError, MrMarketError

MAX_UNITS: Final = 2**127
"""Amounts are kept strictly below this in absolute value."""

_MAX_DECIMALS: Final = 38


class AssetMismatchError(MrMarketError, TypeError):
    """Amounts of two different assets were combined."""

    code = "asset_mismatch"

    def __init__(self, left: Asset, right: Asset) -> None:
        self.left = left
        self.right = right
        super().__init__(f"cannot combine {left.id} with {right.id}; convert one of them at a price first")


@dataclass(frozen=True, slots=True, order=True)
class Asset:
    """A thing that can be owned: `(namespace, code)` with a fixed number of decimals.

    The namespace is a venue or a chain, so that the same ticker in two places is two assets.
    """

    namespace: str
    code: str
    decimals: int

    def __post_init__(self) -> None:
        for part in (self.namespace, self.code):
            if not part or not part.isascii() or any(c.isspace() or c == ":" for c in part):
                raise InvalidInputError("asset", part, "a non-empty ASCII name without blanks or colons")
        if not 0 <= self.decimals <= _MAX_DECIMALS:
            raise InvalidInputError("decimals", self.decimals, f"a whole number from 0 to {_MAX_DECIMALS}")

    @property
    def id(self) -> str:
        """`namespace:code`, unique in one instance."""
        return f"{self.namespace}:{self.code}"


@dataclass(frozen=True, slots=True)
class Amount:
    """A signed, exact quantity of one asset, in base units."""

    asset: Asset
    units: int

    def __post_init__(self) -> None:
        if type(self.units) is not int or abs(self.units) >= MAX_UNITS:
            raise InvalidInputError("units", self.units, "a whole number below 2^127 in absolute value")

    @classmethod
    def parse(cls, asset: Asset, text: str) -> Self:
        """Read a plain decimal string exactly; refuse what does not fit the asset."""
        return cls(asset, parse_units(text, asset.decimals))

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.asset, self.units + self._same(other).units)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.asset, self.units - self._same(other).units)

    def __neg__(self) -> Amount:
        return Amount(self.asset, -self.units)

    def __lt__(self, other: Amount) -> bool:
        return self.units < self._same(other).units

    def __le__(self, other: Amount) -> bool:
        return self.units <= self._same(other).units

    def __str__(self) -> str:
        return format_units(self.units, self.asset.decimals)

    def _same(self, other: Amount) -> Amount:
        if not isinstance(other, Amount):
            raise TypeError(f"cannot combine an Amount with {type(other).__name__}")
        if other.asset != self.asset:
            raise AssetMismatchError(self.asset, other.asset)
        return other
