"""Decimal text to whole steps of a grid, exactly and fast."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from mrmarket.trading.market.errors import OffGridTextError

_PLAIN: Final = re.compile(r"[0-9]{1,24}(?:\.[0-9]{0,24})?", re.ASCII)
_MAX_KNOWN: Final = 200_000


class StepReader(dict[str, int]):
    """Turns `"61799.90"` into 6179990 steps of 0.01, remembering what it has seen.

    Frames repeat the same few thousand texts, so `reader[text]` is nearly always one lookup in C.
    It forgets everything once it knows 200,000 texts, which bounds its memory to about 30 MB.

    With `rounding`, what lies between two steps becomes the lower one, but never 0: old orders rest
    on Binance with finer sizes than today's lot.

    Raises (on lookup):
        OffGridTextError: if the text is not a plain decimal, or lies between two steps.
    """

    __slots__ = ("_decimals", "_rounding", "_step", "_units", "rounded")

    def __init__(self, step: Decimal, *, rounding: bool = False) -> None:
        super().__init__()
        self._rounding = rounding
        self.rounded = 0
        """How many texts were rounded."""
        _, digits, exponent = step.normalize().as_tuple()
        power = int(exponent)
        self._step = step
        self._decimals = max(-power, 0)
        self._units: int = int("".join(map(str, digits))) * 10 ** max(power, 0)

    def __missing__(self, text: str) -> int:
        if not _PLAIN.fullmatch(text):
            raise OffGridTextError(text, str(self._step))
        whole, _, fraction = text.partition(".")
        decimals = self._decimals
        count = int(whole + fraction[:decimals].ljust(decimals, "0"))
        steps, rest = divmod(count, self._units)
        if rest or fraction[decimals:].strip("0"):
            if not self._rounding:
                raise OffGridTextError(text, str(self._step))
            steps = max(steps, 1)
            self.rounded += 1
        if len(self) >= _MAX_KNOWN:
            self.clear()
        self[text] = steps
        return steps
