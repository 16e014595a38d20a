"""How the sandbox says no: Mixin's numbers, in Mixin's envelope."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class Refusal(MrMarketError):  # noqa: N818 - a refusal is an answer, not a fault
    """An answer with an error in it; nothing was changed."""

    code = "mixin_sandbox_refusal"

    def __init__(self, number: int, description: str) -> None:
        self.number = number
        self.description = description
        super().__init__(f"{number}: {description}")


def invalid(description: str) -> Refusal:
    """A field that cannot be."""
    return Refusal(10002, description)
