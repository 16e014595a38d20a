"""The files of a new strategy: a package that installs, a strategy that quotes and a test that passes."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from mrmarket.core.errors import InvalidInputError, MrMarketError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,39}", re.ASCII)

_PYPROJECT: Final = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$dashed"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["mrmarket"]

[project.entry-points."mrmarket.strategies"]
$name = "$name:KIND"

[tool.hatch.build.targets.wheel]
packages = ["src/$name"]

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "-p no:asyncio"  # a strategy never waits
"""

_README: Final = """# $name

A strategy for Mr. Market. Install it where mrmarket is (`-e`: what you change holds at once), try it, run it:

    pip install --no-deps -e .
    python -m pytest tests
    mrmarket strategy show $name
    mrmarket backtest run --tape FILE --strategy $name

and in the configuration:

    [strategy]
    kind = "$name"
    half_spread = 0.0005
"""

_PACKAGE: Final = '''"""$name: a strategy for Mr. Market."""

from __future__ import annotations

from mrmarket.trading.strategy.kind import StrategyKind

from $name.strategy import ${camel}, ${camel}Parameters

KIND = StrategyKind(
    name="$name",
    version="1",
    summary="One bid and one ask around the mid.",
    schema=${camel}Parameters,
    make=${camel},
)
'''

_STRATEGY: Final = '''"""What it does: one bid and one ask, equally far from the mid of others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.models.standing import Wish, price_term, stand
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import StrategySchema, within
from mrmarket.trading.venue.port import OrderKind


class ${camel}Parameters(StrategySchema, frozen=True, kw_only=True, tag="$name"):
    """Its parameters: every one with a default, a range and a sentence."""

    half_spread: Decimal = Decimal("0.0005")
    """Distance of each quote from the mid, as a fraction of it."""
    order_amount: Decimal = Decimal("0.01")
    """Base an order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("half_spread", self.half_spread, "0", "0.5", low_open=True, example="0.0005")
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")


class ${camel}:
    """The strategy. `quotes` is asked at each change of the market: it must be quick, and never wait."""

    name = "$name"
    order_kind = OrderKind.POST_ONLY
    inventory_target = Decimal("0.5")
    rules = RefreshRules()

    def __init__(self, parameters: ${camel}Parameters) -> None:
        self.parameters = parameters

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        return self.parameters.pair

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now. Whatever is not in the answer is cancelled."""
        mid = view.double_mid_ticks / 2
        distance = mid * float(self.parameters.half_spread)
        half_bps = self.parameters.half_spread * 10_000
        terms = (price_term(view, "mid", mid), Term("half spread", half_bps, "bps"))
        amount, why = self.parameters.order_amount, f"{half_bps:f} bps from the mid"
        wishes = [
            Wish(f"{side.value[0]}1", side, mid - side.sign * distance, amount, terms, why)
            for side in Side
        ]
        quotes, notes = stand(view, wishes, post_only=True)
        return TargetQuotes(tuple(quotes), "; ".join(notes))

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """One of its orders was filled: `own.fill` has side, price_ticks and size_lots."""

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """A fill of an earlier life, before the first decision."""
'''

_TEST: Final = '''"""Tried without an exchange: a strategy is a function of what it sees."""

from __future__ import annotations

from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.strategy.port import MarketView

from $name import KIND

BTC = Instrument(
    venue="paper",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)


def test_it_quotes_both_sides_around_the_mid() -> None:
    """Five basis points on each side of 60,000."""
    made = KIND.make(KIND.schema())
    seen = MarketView(BTC, 0, (5_999_950, 1_000), (6_000_050, 1_000), Decimal(1), Decimal(60_000))
    prices = {quote.side: quote.price_ticks for quote in made.quotes(seen).quotes}
    assert prices == {Side.BUY: 5_997_000, Side.SELL: 6_003_000}
'''

_FILES: Final[Mapping[str, str]] = {
    "pyproject.toml": _PYPROJECT,
    "README.md": _README,
    "src/$name/__init__.py": _PACKAGE,
    "src/$name/strategy.py": _STRATEGY,
    "tests/test_$name.py": _TEST,
}


class FolderTakenError(MrMarketError):
    """There is something in the way; nothing was written."""

    code = "folder_taken"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} exists already; give another name, or another folder with --in")


def write_skeleton(name: str, parent: Path) -> list[Path]:
    """Write a new strategy's package into a folder of its name; returns the files.

    Raises:
        InvalidInputError: the name is no name of a Python package, or that of one that is installed.
        FolderTakenError: the folder is there already.
    """
    if not _NAME.fullmatch(name) or "__" in name:
        wanted = "2 to 40 lower-case letters, digits and single _, a letter first, such as my_strategy"
        raise InvalidInputError("name", name, wanted)
    if keyword.iskeyword(name) or _is_installed(name):
        raise InvalidInputError("name", name, "a name that is no word of Python's and no installed module's")
    folder = parent / name
    if folder.exists():
        raise FolderTakenError(folder)
    camel = "".join(part.capitalize() for part in name.split("_"))
    words = {"name": name, "dashed": name.strip("_").replace("_", "-"), "camel": camel}
    written: list[Path] = []
    for path, text in _FILES.items():
        file = folder / Template(path).substitute(words)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(text).substitute(words), encoding="utf-8")
        written.append(file)
    return written


def _is_installed(name: str) -> bool:
    found = importlib.util.find_spec(name)
    # A folder that happens to lie on the path has no origin.
    return found is not None and found.origin is not None
