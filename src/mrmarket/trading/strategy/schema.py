"""What the parameters of every strategy have in common, and how one that is out of range is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from mrmarket.core.errors import InvalidInputError


class ParameterRefusedError(InvalidInputError, ValueError):
    """A strategy parameter was refused; nothing was started."""

    code = "parameter_refused"

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(field, str(value), wanted)


class StrategyParameters:
    """The parameters of some strategy: the place in the configuration where any schema may stand."""

    __slots__ = ()

    pair: str
    exchange: str


class StrategySchema(
    msgspec.Struct,
    StrategyParameters,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
):
    """Where the schema of a strategy begins. The tag of a subclass is the strategy's name.

    Spreads and shares are fractions of 1, amounts base, times seconds of the strategy's clock. A schema that
    changes its meaning gets a new `schema_version`; parameters that were written for another are refused.
    """

    pair: str = "BTC/USDT"
    exchange: str = ""
    """The venue these parameters are meant for; empty is whichever the instance trades on."""
    schema_version: Literal[1] = 1
    """Of these parameters."""

    def __post_init__(self) -> None:
        if not self.pair.count("/") == 1 or "" in self.pair.split("/"):
            raise ParameterRefusedError("pair", self.pair, "BASE/QUOTE, such as BTC/USDT")


def kind_of(parameters: StrategyParameters) -> str:
    """The name of the strategy that these parameters are for."""
    assert isinstance(parameters, StrategySchema)  # noqa: S101 - nothing else is one
    return str(parameters.__struct_config__.tag)


def within(
    name: str,
    value: Decimal | float | None,
    low: str,
    high: str,
    *,
    example: str,
    low_open: bool = False,
) -> None:
    """Refuse a number outside its range; None is no number, and passes.

    Raises:
        ParameterRefusedError: with the range and an example in words.
    """
    if value is None:
        return
    number, lowest, highest = Decimal(str(value)), Decimal(low), Decimal(high)
    if number.is_finite() and (lowest < number if low_open else lowest <= number) and number <= highest:
        return
    words = f"a number {'above' if low_open else 'from'} {lowest:f} up to {highest:f}, such as {example}"
    raise ParameterRefusedError(name, value, words)
