"""Which pools an instance runs, by its configuration."""

from __future__ import annotations

from typing import Final

from mrmarket.money.pool.plan import DEMO_FOUNDERS, Founder, PoolPlan
from mrmarket.money.pool.terms import FLEXIBLE, LockTier, Terms
from mrmarket.services.config_sections import Config

OWNER: Final = (Founder("owner", 1),)
"""Whose money a real account holds when the instance first sees it."""

DEMO_TERMS: Final = Terms(
    minimum_deposit="10",
    capacity="10000000",
    management_fee_bps=100,
    performance_fee_bps=1_000,
    tiers=(
        FLEXIBLE,
        LockTier(name="30 days", lock_days=30, weight_num=6, weight_den=5, exit_fee_bps=50),
        LockTier(name="90 days", lock_days=90, weight_num=3, weight_den=2),
    ),
)
"""One of everything, so that the demo shows it."""


def pool_plans(config: Config, stream: str, venue: str, quote: str, rail: str | None) -> list[PoolPlan]:
    """The pool that trades, and the further ones.

    Args:
        config: the instance's.
        stream: facts of the run that trades.
        venue: namespace of the venue's assets.
        quote: code that value is counted in.
        rail: namespace of the payment rail's assets; None where there is none.
    """
    demo = config.play_money and config.pool.demo
    first = PoolPlan(
        stream=stream,
        venue=venue,
        quote=quote,
        name=config.pool.name,
        founders=DEMO_FOUNDERS if demo else OWNER,
        terms=config.pool.terms or (DEMO_TERMS if demo else Terms()),
        rail=rail,
    )
    further = [
        PoolPlan(
            stream=None,
            venue=venue,
            quote=quote,
            name=pool.name,
            founders=(),
            terms=pool.terms,
            rail=rail,
        )
        for pool in config.pools
    ]
    return [first, *further]


def members(config: Config) -> list[tuple[str, str]]:
    """(pool, account id) of everybody whom the configuration lets into permissioned pools."""
    listed = [(config.pool.name, config.pool.members), *((pool.name, pool.members) for pool in config.pools)]
    return [
        (pool, PoolPlan.depositor(name.lower() if name.startswith("0x") else name).id)
        for pool, names in listed
        for name in names
    ]
