"""What the pair is worth, by name: the price that quoting models stand around.

Where a model's estimator has not seen enough yet, the simpler one below it speaks, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from mrmarket.trading.market.estimators.microprice import weighted_mid_offset
from mrmarket.trading.market.estimators.order_flow import fair_value_ticks
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.plugins import FAIR_VALUES_GROUP, PluginRefusedError, offers
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import ParameterRefusedError


@dataclass(frozen=True, slots=True)
class FairPrice:
    """A fair value, in ticks, and how it came about."""

    ticks: float
    says: str


@runtime_checkable
class FairValue(Protocol):
    """Says what the pair is worth now. Synchronous and quick: it is asked at each decision."""

    @property
    def estimates(self) -> frozenset[Estimate]:
        """What has to be measured for it."""
        ...

    def price(self, view: MarketView) -> FairPrice:
        """The fair value."""
        ...


class Mid:
    """Half-way between the best bid and ask of others."""

    estimates: frozenset[Estimate] = frozenset()

    def price(self, view: MarketView) -> FairPrice:
        """The mid."""
        return FairPrice(view.double_mid_ticks / 2, "mid")


class WeightedMid:
    """The mid weighted by the opposite sizes: nearer to the side that is about to be used up."""

    estimates: frozenset[Estimate] = frozenset()

    def price(self, view: MarketView) -> FairPrice:
        """The weighted mid."""
        return FairPrice(_weighted(view), "weighted mid")


class Microprice:
    """Stoikov's microprice by its fitted table."""

    estimates: frozenset[Estimate] = frozenset({Estimate.MICROPRICE})

    def price(self, view: MarketView) -> FairPrice:
        """The mid and the table's adjustment; the weighted mid before there is a table."""
        if view.micro_offset_ticks is None:
            return FairPrice(_weighted(view), "weighted mid (the microprice is not fitted yet)")
        return FairPrice(view.double_mid_ticks / 2 + view.micro_offset_ticks, "microprice (fitted)")


class MicropriceAndFlow:
    """The microprice, and where the order flow is pushing it; at most a spread from the mid."""

    estimates: frozenset[Estimate] = frozenset({Estimate.MICROPRICE, Estimate.ORDER_FLOW})

    def price(self, view: MarketView) -> FairPrice:
        """Microprice plus the expected move."""
        micro = Microprice().price(view)
        if view.flow_move_ticks is None:
            return FairPrice(micro.ticks, f"{micro.says}, without order flow yet")
        offset = micro.ticks - view.double_mid_ticks / 2
        ticks = fair_value_ticks(view.bid, view.ask, offset, view.flow_move_ticks)
        return FairPrice(ticks, f"{micro.says} and order flow")


BUILT_IN: Final[Mapping[str, Callable[[], FairValue]]] = MappingProxyType(
    {
        "mid": Mid,
        "weighted_mid": WeightedMid,
        "microprice": Microprice,
        "microprice_ofi": MicropriceAndFlow,
    }
)


def fair_value(name: str) -> FairValue:
    """The fair value of this name: ours, or a plug-in's (an entry point of `mrmarket.fair_values`).

    Raises:
        ParameterRefusedError: there is none of this name.
        PluginRefusedError: it is a plug-in's, and does not import or is no fair value.
    """
    made = BUILT_IN.get(name)
    if made is not None:
        return made()
    found = [offer for offer in offers(FAIR_VALUES_GROUP) if offer.name == name]
    if not found:
        known = [*BUILT_IN, *(offer.name for offer in offers(FAIR_VALUES_GROUP))]
        raise ParameterRefusedError("fair_value", name, f"one of {', '.join(known)}")
    offer = found[0]
    if len(found) > 1:
        raise PluginRefusedError(name, offer.source, f"{found[1].source} offers the same name")
    factory = offer.load()
    if not callable(factory):
        raise PluginRefusedError(name, offer.source, "its entry point is nothing that can be called")
    try:
        plugin = factory()
    except Exception as error:
        raise PluginRefusedError(name, offer.source, f"{type(error).__name__}: {error}") from error
    if not isinstance(plugin, FairValue):
        raise PluginRefusedError(name, offer.source, "it has no `estimates` or no `price(view)`")
    return plugin


def _weighted(view: MarketView) -> float:
    (bid, bid_lots), (ask, ask_lots) = view.bid, view.ask
    return (bid + ask) / 2 + weighted_mid_offset(bid_lots, ask_lots, ask - bid)
