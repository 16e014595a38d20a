"""Every strategy that can be named: ours, and those of plug-ins, of which nothing runs before it is named."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from mrmarket import __version__
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.strategy.catalogue import BUILT_IN
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossStrategy
from mrmarket.trading.strategy.kind import Form, StrategyKind
from mrmarket.trading.strategy.plugins import STRATEGIES_GROUP, Offer, PluginRefusedError, offers
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.schema import StrategyParameters, StrategySchema, kind_of
from mrmarket.trading.strategy.snapshot import Snapshot, snapshot_of

__all__ = [
    "Listed",
    "MakerNeededError",
    "OtherFormError",
    "Refused",
    "Registry",
    "StrategyKind",
    "UnknownStrategyError",
    "UnknownTemplateError",
    "VenueCountError",
]

OURS: Final = f"mrmarket {__version__}"
_MEMBERS: Final = (
    "name",
    "symbol",
    "rules",
    "order_kind",
    "inventory_target",
    "quotes",
    "on_fill",
    "on_past_fill",
)
_CROSS_MEMBERS: Final = ("name", "symbol", "leg_rules", "depth_levels", "decide")
_MAKER_MEMBERS: Final = ("name", "symbol", "rules", "leg_rules", "depth_levels", "quotes")


class UnknownStrategyError(MrMarketError):
    """No strategy has this name; nothing was started."""

    code = "unknown_strategy"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.known)}"
        super().__init__(f"there is no strategy {name}; {hint}")


class UnknownTemplateError(MrMarketError):
    """The strategy has no template of this name."""

    code = "unknown_template"

    def __init__(self, strategy: str, name: str, known: Iterable[str]) -> None:
        self.strategy = strategy
        self.name = name
        self.known = tuple(known)
        have = f"known are {', '.join(self.known)}" if self.known else "it has none"
        super().__init__(f"{strategy} has no template {name}; {have}")


class VenueCountError(MrMarketError):
    """A strategy was asked to trade on another number of venues than it is made for."""

    code = "venue_count"

    def __init__(self, name: str, needed: int) -> None:
        self.name = name
        self.needed = needed
        what = "two venues; run it where there are two" if needed > 1 else "one venue; run it on one"
        super().__init__(f"{name} trades on {what}")


class MakerNeededError(MrMarketError):
    """A strategy on two venues was asked to trade in the other of both ways."""

    code = "other_way_of_trading"

    def __init__(self, name: str, *, hedged: bool) -> None:
        self.name = name
        self.hedged = hedged
        what = (
            "quotes on one venue and is hedged on the other; run it where quotes are kept"
            if hedged
            else "sends pairs of orders and keeps no quotes; run it where pairs are carried out"
        )
        super().__init__(f"{name} {what}")


class OtherFormError(MrMarketError):
    """A strategy of several pairs was asked to quote one."""

    code = "other_form"

    def __init__(self, name: str, form: Form) -> None:
        self.name = name
        self.form = form
        what = (
            "sends an asset around three pairs and quotes none; run it under [[runs]] with its own account"
            if form is Form.TRIANGLE
            else "needs a venue with perpetuals, and no venue here has one; run it in the laboratory with"
            " `mrmarket backtest run`"
        )
        super().__init__(f"{name} {what}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A strategy that can be run, and whose it is."""

    kind: StrategyKind
    source: str
    """Distribution and version."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A plug-in that cannot be used, and why."""

    name: str
    source: str
    reason: str


class Registry:
    """Finds strategies by name and makes them. Holds no state beside what it was given."""

    def __init__(
        self,
        built_in: Iterable[StrategyKind] = BUILT_IN,
        plugins: Callable[[], Iterable[Offer]] = lambda: offers(STRATEGIES_GROUP),
    ) -> None:
        """`plugins` gives the entry points, none of them imported."""
        self._built_in: Mapping[str, StrategyKind] = MappingProxyType({kind.name: kind for kind in built_in})
        self._plugins = plugins

    def find(self, name: str) -> Listed:
        """The strategy of this name; imports a plug-in where it is one's.

        Raises:
            UnknownStrategyError: there is none.
            PluginRefusedError: it is a plug-in's that cannot be used.
        """
        kind = self._built_in.get(name)
        if kind is not None:
            return Listed(kind, OURS)
        points = list(self._plugins())
        found = [offer for offer in points if offer.name == name]
        if not found:
            raise UnknownStrategyError(
                name, dict.fromkeys([*self._built_in, *(each.name for each in points)])
            )
        if len(found) > 1:
            raise PluginRefusedError(name, found[0].source, f"{found[1].source} offers the same name")
        return Listed(self._loaded(found[0]), found[0].source)

    def everything(self) -> tuple[list[Listed], list[Refused]]:
        """All that can be run, and the plug-ins that cannot; imports every plug-in."""
        good = [Listed(kind, OURS) for kind in self._built_in.values()]
        bad: list[Refused] = []
        for offer in self._plugins():
            if offer.name in self._built_in:
                bad.append(Refused(offer.name, offer.source, "the name is one of our own strategies'"))
                continue
            try:
                good.append(self.find(offer.name))
            except PluginRefusedError as refused:
                bad.append(Refused(offer.name, offer.source, refused.reason))
        return good, bad

    def parameters(
        self, name: str, table: Mapping[str, Any], *, template: str = "", strict: bool = False
    ) -> StrategySchema:
        """Checked parameters: the schema's defaults, under the template's, under the table's.

        Raises:
            UnknownStrategyError, PluginRefusedError, UnknownTemplateError: as they say.
            msgspec.ValidationError: a parameter is out of its range, or unknown.
        """
        kind = self.find(name).kind
        return msgspec.convert({**self.template(kind, template), **table}, kind.schema, strict=strict)

    def template(self, kind: StrategyKind, name: str) -> Mapping[str, Any]:
        """The parameters of a template; none for an empty name.

        Raises:
            UnknownTemplateError: there is none of this name.
        """
        if not name:
            return {}
        found = kind.templates.get(name)
        if found is None:
            raise UnknownTemplateError(kind.name, name, kind.templates)
        return found.parameters

    def make(self, parameters: StrategyParameters) -> Strategy:
        """A strategy that has seen nothing yet.

        Raises:
            PluginRefusedError: a plug-in's factory raised, or gave something that is no strategy.
            VenueCountError: it trades between venues; see `make_cross`.
            OtherFormError: it trades several pairs.
        """
        listed = self.find(kind_of(parameters))
        if listed.kind.venues != 1:
            raise VenueCountError(listed.kind.name, listed.kind.venues)
        if listed.kind.form is not Form.QUOTES:
            raise OtherFormError(listed.kind.name, listed.kind.form)
        strategy: Strategy = _made(listed.kind, listed.source, parameters)
        return strategy

    def make_cross(self, parameters: StrategyParameters) -> CrossStrategy:
        """A strategy on two venues that has seen nothing yet.

        Raises:
            PluginRefusedError: as `make`.
            VenueCountError: it quotes on one venue.
            MakerNeededError: it quotes and is hedged; see `make_maker`.
        """
        listed = self.find(kind_of(parameters))
        if listed.kind.venues == 1:
            raise VenueCountError(listed.kind.name, 1)
        if listed.kind.hedged:
            raise MakerNeededError(listed.kind.name, hedged=True)
        strategy: CrossStrategy = _made(listed.kind, listed.source, parameters)
        return strategy

    def make_maker(self, parameters: StrategyParameters) -> CrossMaker:
        """A strategy that quotes on one venue and is hedged on another; it has seen nothing yet.

        Raises:
            PluginRefusedError: as `make`.
            VenueCountError: it quotes on one venue.
            MakerNeededError: it sends pairs of orders; see `make_cross`.
        """
        listed = self.find(kind_of(parameters))
        if listed.kind.venues == 1:
            raise VenueCountError(listed.kind.name, 1)
        if not listed.kind.hedged:
            raise MakerNeededError(listed.kind.name, hedged=False)
        strategy: CrossMaker = _made(listed.kind, listed.source, parameters)
        return strategy

    def snapshot(self, parameters: StrategyParameters) -> Snapshot:
        """What is run, pinned: name, versions, code and every parameter, and the hash of all of it."""
        listed = self.find(kind_of(parameters))
        return snapshot_of(listed.kind, listed.source, parameters, is_ours=listed.source == OURS)

    def _loaded(self, offer: Offer) -> StrategyKind:
        kind = offer.load()
        if not isinstance(kind, StrategyKind):
            words = f"its entry point is a {type(kind).__name__}, where a StrategyKind belongs"
            raise PluginRefusedError(offer.name, offer.source, words)
        if kind.name != offer.name:
            words = f"it calls itself {kind.name} and its entry point {offer.name}"
            raise PluginRefusedError(offer.name, offer.source, words)
        problem = _problem(kind)
        if problem:
            raise PluginRefusedError(offer.name, offer.source, problem)
        try:
            defaults = kind.schema()
        except Exception as error:
            words = f"its schema has no good defaults: {type(error).__name__}: {error}"
            raise PluginRefusedError(offer.name, offer.source, words) from error
        _made(kind, offer.source, defaults)
        return kind


def _problem(kind: StrategyKind) -> str:
    schema: object = kind.schema  # it is somebody else's, whatever the annotation says
    make: object = kind.make
    if not (isinstance(schema, type) and issubclass(schema, StrategySchema)):
        return "its schema does not derive from StrategySchema"
    if schema.__struct_config__.tag != kind.name:
        return f"the tag of its schema is {schema.__struct_config__.tag}, not {kind.name}"
    if kind.venues not in (1, 2):
        return f"it asks for {kind.venues} venues, where 1 or 2 are offered"
    if kind.hedged and kind.venues == 1:
        return "it is hedged on another venue and asks for one"
    if kind.form is not Form.QUOTES:
        return f"its form is {kind.form.value}, where only quotes are offered"
    return "" if callable(make) else "its `make` cannot be called"


def _made(kind: StrategyKind, source: str, parameters: StrategyParameters) -> Any:
    try:
        strategy = kind.make(parameters)
    except MrMarketError:
        raise
    except Exception as error:
        words = f"it could not be made: {type(error).__name__}: {error}"
        raise PluginRefusedError(kind.name, source, words) from error
    wanted = _MEMBERS if kind.venues == 1 else _MAKER_MEMBERS if kind.hedged else _CROSS_MEMBERS
    missing = [member for member in wanted if not hasattr(strategy, member)]
    if missing:
        raise PluginRefusedError(kind.name, source, f"its strategy lacks {', '.join(missing)}")
    return strategy
