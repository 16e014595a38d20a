"""Decimal text to whole steps of a grid, exactly and fast."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from mrmarket.trading.market.errors import OffGridTextError

_MAX_DIGITS: Final = 40
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

    __slots__ = ("_decimals", "_divisor", "_point", "_rounding", "_step", "_units", "rounded")

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
        self._point = slice(0, 0)
        self._divisor: int = self._units
        self._expect(self._decimals)

    def __missing__(self, text: str) -> int:
        if len(self) >= _MAX_KNOWN:
            self.clear()
        # A venue writes all of its texts with as many decimals, be it the grid's or always eight.
        digits = text.replace(".", "", 1)
        if (
            text[self._point] == "."
            and text[0] != "."
            and digits.isdigit()
            and digits.isascii()
            and len(digits) <= _MAX_DIGITS
        ):
            steps, rest = divmod(int(digits), self._divisor)
            if rest:
                steps = self._read(text)
        else:
            steps = self._read(text)
        self[text] = steps
        return steps

    def _expect(self, decimals: int) -> None:
        """Texts with so many decimals are read the short way from now on."""
        if decimals >= max(self._decimals, 1):
            # Where the point is; a slice, which no text is too short for.
            self._point = slice(-decimals - 1, -decimals)
            self._divisor = self._units * 10 ** (decimals - self._decimals)

    def _read(self, text: str) -> int:
        whole, _, fraction = text.partition(".")
        digits = whole + fraction
        if not (whole and digits.isdigit() and digits.isascii()) or len(digits) > _MAX_DIGITS:
            raise OffGridTextError(text, str(self._step))
        missing = self._decimals - len(fraction)
        scale: int = 10 ** abs(missing)
        if missing >= 0:
            steps, rest = divmod(int(digits) * scale, self._units)
        else:
            # What lies below the grid's last decimal counts only by being there.
            steps, rest = divmod(int(digits), self._units * scale)
        if rest:
            if not self._rounding:
                raise OffGridTextError(text, str(self._step))
            steps = max(steps, 1)
            self.rounded += 1
        self._expect(len(fraction))
        return steps
