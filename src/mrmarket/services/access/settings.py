"""What of the configuration concerns access."""

from __future__ import annotations

from dataclasses import dataclass, field

from mrmarket.services.access.buckets import Rate


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one session, or one address without a session, may ask."""

    reads: Rate = field(default=Rate(100, 400))
    writes: Rate = field(default=Rate(5, 40))
    sign_ins: Rate = field(default=Rate(0.5, 30))
    """By address, whoever is signed in."""


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Everything that decides who gets in."""

    demo: bool = False
    """The payment rail is the simulated one: the demo's wallets are people, and the server signs for them."""
    open_desk: bool = False
    """Whether visitors see the market, the orders and the rest of the desk."""
    public_url: str = ""
    """Under which address people reach the instance; empty: by what the request says."""
    chain_ids: frozenset[int] = frozenset({1})
    """Chains whose wallets may sign in."""
    rates: Rates = field(default=Rates())
