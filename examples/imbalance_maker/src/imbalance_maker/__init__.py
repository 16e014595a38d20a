"""A market maker that leans with the recent trades, as a plug-in of Mr. Market."""

from __future__ import annotations

from types import MappingProxyType

from imbalance_maker.strategy import ImbalanceMaker, ImbalanceMakerParameters
from mrmarket.trading.strategy.kind import StrategyKind, Template

KIND = StrategyKind(
    name="imbalance_maker",
    version="1",
    summary="One bid and one ask that lean with the imbalance of recent trades.",
    schema=ImbalanceMakerParameters,
    make=ImbalanceMaker,
    templates=MappingProxyType(
        {"calm": Template("a pair that hardly trends", MappingProxyType({"lean": "0.25"}))}
    ),
)
