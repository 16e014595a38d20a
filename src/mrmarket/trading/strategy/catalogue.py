"""Our own strategies, with templates for pairs that trade much and pairs that trade little."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.carry.parameters import CarryParameters
from mrmarket.trading.strategy.carry.strategy import SpotPerpetualCarry
from mrmarket.trading.strategy.cross_making.maker import CrossExchangeMarketMaking
from mrmarket.trading.strategy.cross_making.parameters import CrossMakingParameters
from mrmarket.trading.strategy.kind import Form, StrategyKind, Template
from mrmarket.trading.strategy.models.as_normalised import AsNormalisedParameters, as_normalised
from mrmarket.trading.strategy.models.avellaneda_stoikov import (
    AvellanedaStoikovParameters,
    avellaneda_stoikov,
)
from mrmarket.trading.strategy.models.dca import DcaParameters, dca
from mrmarket.trading.strategy.models.glft import GlftParameters, glft
from mrmarket.trading.strategy.models.grid import Grid, GridParameters
from mrmarket.trading.strategy.models.triple_barrier import TripleBarrier, TripleBarrierParameters
from mrmarket.trading.strategy.models.twap import TwapParameters, twap
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.strategy.triangular.arbitrage import TriangularArbitrage
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters

_LIQUID: Final = "a pair with a spread of a few basis points and trades each second"
_ILLIQUID: Final = "a pair with a wide spread and trades each minute"


def _six(
    liquid: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    illiquid: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
) -> MappingProxyType[str, Template]:
    words = (
        ("conservative", "quotes wide and holds little"),
        ("balanced", "the middle way"),
        ("tight", "quotes tight: many fills, little earned by each, for low fees only"),
    )
    made = {}
    for market, told, each in (("liquid", _LIQUID, liquid), ("illiquid", _ILLIQUID, illiquid)):
        for (word, says), parameters in zip(words, each, strict=True):
            made[f"{word}_{market}"] = Template(f"{says}; {told}", MappingProxyType(parameters))
    return MappingProxyType(made)


def _pure(spread: str, layers: int, refresh_s: float, sigma: str) -> dict[str, Any]:
    return {
        "bid_spread": spread,
        "ask_spread": spread,
        "number_of_layers": layers,
        "order_refresh_time": refresh_s,
        "order_refresh_tolerance": "0.00005",
        "price_source": "MICROPRICE",
        "inventory_range": "0.25",
        "sigma_multiplier": sigma,
        "toxicity_multiplier": "1",
    }


def _curve(most: float, minimum: str, refresh_s: float, **more: Any) -> dict[str, Any]:
    return {
        "max_inventory": most,
        "minimum_spread": minimum,
        "order_refresh_time": refresh_s,
        "toxicity_multiplier": "1",
        "fair_value": "microprice",
        **more,
    }


BUILT_IN: Final = (
    StrategyKind(
        name="pure_market_making",
        version="2",
        summary="Layers of quotes at fixed distances around a reference price, with adaptive terms.",
        schema=Parameters,
        make=PureMarketMaking,
        templates=_six(
            (_pure("0.0008", 3, 5, "2"), _pure("0.0003", 2, 3, "1"), _pure("0.0001", 1, 1, "0.5")),
            (_pure("0.01", 3, 60, "3"), _pure("0.005", 2, 30, "2"), _pure("0.002", 1, 15, "1")),
        ),
    ),
    StrategyKind(
        name="avellaneda_stoikov",
        version="1",
        summary="Quotes by volatility, inventory and a horizon, as in the paper of 2008.",
        schema=AvellanedaStoikovParameters,
        make=avellaneda_stoikov,
        templates=_six(
            (
                _curve(5, "0.0004", 3, gamma=0.1, horizon_s=300),
                _curve(10, "0.0001", 2, gamma=0.02, horizon_s=60),
                _curve(20, "0.00003", 1, gamma=0.005, horizon_s=30),
            ),
            (
                _curve(3, "0.005", 30, gamma=0.02, horizon_s=3600),
                _curve(5, "0.002", 15, gamma=0.005, horizon_s=1800),
                _curve(10, "0.001", 10, gamma=0.002, horizon_s=600),
            ),
        ),
    ),
    StrategyKind(
        name="as_normalised",
        version="1",
        summary="The normalised variant: a risk aversion without unit, inventory as a share of the account.",
        schema=AsNormalisedParameters,
        make=as_normalised,
        templates=_six(
            (
                _curve(5, "0.0004", 3, gamma=2.0),
                _curve(10, "0.0001", 2, gamma=0.5),
                _curve(20, "0.00003", 1, gamma=0.2),
            ),
            (
                _curve(3, "0.005", 30, gamma=2.0, sigma_window_s=600),
                _curve(5, "0.002", 15, gamma=0.5, sigma_window_s=600),
                _curve(10, "0.001", 10, gamma=0.2, sigma_window_s=600),
            ),
        ),
    ),
    StrategyKind(
        name="glft",
        version="1",
        summary="Stationary quotes by volatility and measured arrivals; you choose the maximum inventory.",
        schema=GlftParameters,
        make=glft,
        templates=_six(
            (_curve(5, "0.0004", 3), _curve(10, "0.0001", 2), _curve(20, "0.00003", 1)),
            (_curve(3, "0.005", 30), _curve(5, "0.002", 15), _curve(10, "0.001", 10)),
        ),
    ),
    StrategyKind(
        name="grid",
        version="1",
        summary="Orders on levels that stand still: buys low and sells one level higher.",
        schema=GridParameters,
        make=Grid,
        templates=MappingProxyType(
            {
                "balanced_liquid": Template(_LIQUID, MappingProxyType({"step": "0.0005", "levels": 3})),
                "balanced_illiquid": Template(_ILLIQUID, MappingProxyType({"step": "0.01", "levels": 5})),
            }
        ),
    ),
    StrategyKind(
        name="twap",
        version="1",
        summary="Works one amount in equal slices over a time, passively.",
        schema=TwapParameters,
        make=twap,
    ),
    StrategyKind(
        name="dca",
        version="1",
        summary="Buys or sells the same amount each interval, whatever the price.",
        schema=DcaParameters,
        make=dca,
    ),
    StrategyKind(
        name="triple_barrier",
        version="1",
        summary="Enters one position and closes it at a profit, at a loss, or after a time.",
        schema=TripleBarrierParameters,
        make=TripleBarrier,
    ),
    StrategyKind(
        name="triangular_arbitrage",
        version="1",
        summary="Sends an asset around three pairs of one venue when more comes back than went out.",
        schema=TriangularParameters,
        make=TriangularArbitrage,
        form=Form.TRIANGLE,
    ),
    StrategyKind(
        name="spot_perpetual_carry",
        version="1",
        summary="Holds spot against a short perpetual while the expected funding pays; laboratory only.",
        schema=CarryParameters,
        make=SpotPerpetualCarry,
        form=Form.CARRY,
    ),
    StrategyKind(
        name="cross_exchange_arbitrage",
        version="1",
        summary="Buys on one exchange and sells on another when that pays more than every fee.",
        schema=CrossExchangeParameters,
        make=CrossExchangeArbitrage,
        venues=2,
    ),
    StrategyKind(
        name="cross_exchange_market_making",
        version="1",
        summary="Quotes on one exchange as far as hedging each fill on another pays, and hedges it there.",
        schema=CrossMakingParameters,
        make=CrossExchangeMarketMaking,
        templates=MappingProxyType(
            {
                "balanced_liquid": Template(
                    _LIQUID,
                    MappingProxyType(
                        {"min_profit": "0.0003", "cancel_profit": "0.0001", "order_refresh_time": 2}
                    ),
                ),
                "balanced_illiquid": Template(
                    _ILLIQUID,
                    MappingProxyType(
                        {
                            "min_profit": "0.002",
                            "cancel_profit": "0.001",
                            "order_refresh_time": 15,
                            "max_book_age": 30,
                            "hedge_time": 5,
                        }
                    ),
                ),
            }
        ),
        venues=2,
        hedged=True,
    ),
)
"""In the order in which they are shown."""
