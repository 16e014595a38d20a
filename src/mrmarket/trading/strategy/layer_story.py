"""How one quote of pure market making came about, told when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Term, Told
from mrmarket.trading.strategy.lattice import PARTS, Lattice, Layer
from mrmarket.trading.strategy.port import MarketView

_BPS: Final = 10_000
_DIGITS: Final = Decimal("0.00000001")


class Reference:
    """The price that the quotes of one decision are placed around. Prices are thousandths of a tick."""

    __slots__ = (
        "delta",
        "imbalance",
        "lattice",
        "markout",
        "milli",
        "sigma",
        "skew",
        "skewed",
        "source",
        "view",
        "widening",
    )

    def __init__(
        self,
        view: MarketView,
        lattice: Lattice,
        milli: int,
        source: str,
        skewed: int,
        imbalance: int | None,
        skew: int | None,
        delta: int | None,
        sigma: int | None,
        markout: int | None,
    ) -> None:
        """None is for what has no say."""
        self.view: Final = view
        self.lattice: Final = lattice
        self.milli: Final = milli
        self.source: Final = source
        """What the price is called."""
        self.skewed: Final = skewed
        """After imbalance and inventory."""
        self.imbalance: Final = imbalance
        self.skew: Final = skew
        self.delta: Final = delta
        """Inventory against target, ±`PARTS` at the ends of the range."""
        self.sigma: Final = sigma
        self.markout: Final = markout
        self.widening: Final = (sigma or 0) + (markout or 0)
        """What volatility and toxicity add to each half spread, in `PARTS`."""

    def price(self, milli: int) -> Decimal:
        """Quote per base."""
        return Decimal(milli).scaleb(-3) * self.lattice.instrument.tick_size

    def terms(self) -> Iterator[Term]:
        """How the price came about."""
        yield Term("reference", self.price(self.milli), "quote")
        yield Term("price source", self.source)
        if self.imbalance is not None:
            yield Term("imbalance", self.price(self.imbalance), "quote")
        if self.skew is not None:
            yield Term("inventory skew", self.price(self.skew), "quote")

    def widening_terms(self) -> Iterator[Term]:
        """What widens the spread."""
        for name, part in (("volatility", self.sigma), ("toxicity", self.markout)):
            if part is not None:
                yield Term(name, Decimal(part * _BPS) / PARTS, "bps")


def layer_story(
    reference: Reference, layer: Layer, half: int, clamp: str, kept_off: int | None, ticks: int
) -> Told:
    """The terms of one layer's quote, and one sentence.

    Args:
        reference: what it is placed around.
        layer: which it is.
        half: the half spread in parts of the lattice's `one`.
        clamp: `minimum` or `maximum` where the half spread was cut to it.
        kept_off: the price in ticks where the other side of the book was in the way.
        ticks: its price.
    """
    away = "below" if layer.side is Side.BUY else "above"
    bps = format_decimal(_bps(half, reference))
    around = format_decimal(reference.price(reference.skewed))
    terms = tuple(_terms(reference, layer, half, clamp, kept_off, ticks))
    return terms, f"layer {layer.number}: {bps} bps {away} {around}"


def hanging_story(reference: Reference, ticks: int) -> Told:
    """The terms and the sentence of an order that hangs."""
    price = Term("price", reference.lattice.instrument.price(ticks), "quote")
    return (*reference.terms(), price), "hangs since the other side of its layer was filled"


def _terms(
    reference: Reference, layer: Layer, half: int, clamp: str, kept_off: int | None, ticks: int
) -> Iterator[Term]:
    instrument = reference.lattice.instrument
    yield from reference.terms()
    yield Term("half spread", _bps(layer.spread, reference), "bps")
    yield from reference.widening_terms()
    if clamp:
        yield Term(f"clamped to the {clamp} spread", _bps(half, reference), "bps")
    if kept_off is not None:
        yield Term("kept off the other side", instrument.price(kept_off), "quote")
    yield Term("maker fee", instrument.maker_fee * _BPS, "bps")
    if reference.lattice.parameters.inventory_skew_enabled and layer.amount:
        share = PARTS - (reference.delta or 0) * layer.sign
        yield Term("size for the inventory", (Decimal(share) / PARTS).quantize(_DIGITS))
    yield Term("price", instrument.price(ticks), "quote")


def _bps(parts: int, reference: Reference) -> Decimal:
    return Decimal(parts * _BPS) / reference.lattice.one
