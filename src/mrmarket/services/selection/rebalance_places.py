"""The accounts of a candidate that trades on two venues, as places that money is moved between."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.notice import NoticeSink
from mrmarket.services.engine.composition import Engine
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.selection.chooser import Chooser
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.rebalancing import Rebalancing, terms_units
from mrmarket.services.selection.section import RebalanceSection
from mrmarket.services.selection.wallets import ExchangeWallet, Free, PaperWallet
from mrmarket.trading.strategy.arbitrage.two_venue_run import TwoVenueRun
from mrmarket.trading.strategy.rebalance.accounts import AccountTransfers, Wallet
from mrmarket.trading.strategy.rebalance.plan import Terms
from mrmarket.trading.venue.paper import PaperVenue


def open_rebalancing(
    plan: Plan,
    section: RebalanceSection,
    funding: VenueLink,
    second: PaperVenue,
    engine: Callable[[], Engine],
    memory: SelectionMemory,
    clock: Clock,
    notices: NoticeSink,
    chooser: Chooser,
) -> Rebalancing:
    """Between the candidate's account at the embedded exchange and the one on its second market.

    Args:
        plan: the candidate; it trades on two venues with an account of its own.
        section: `[selection.rebalance]`.
        funding: the exchange's treasury; the account is the candidate's.
        second: the second market.
        engine: of this process; its run says what is free.
        memory: where transfers are kept.
        clock: the wall's.
        notices: who hears of plans that wait.
        chooser: knows what it earns, and bears its costs.
    """
    name, spec = plan.candidate.id, plan.spec
    base, quote = spec.pair.split("/")

    def run() -> TwoVenueRun | None:
        found = engine().held(plan.run)
        return found if isinstance(found, TwoVenueRun) else None

    def free(side: int) -> Free:
        def ask(asset: str) -> Decimal | None:
            found = run()
            if found is None or not found.sides[side].execution.account.is_known:
                return None
            reported = found.sides[side].execution.account.reported()
            return next((each for named, each, _ in reported if named == asset), Decimal(0))

        return ask

    def price(asset: str) -> Decimal | None:
        found = run()
        return Decimal(1) if asset == quote else None if found is None else found.mid

    link = msgspec.structs.replace(funding, account=spec.account)
    wallets: dict[str, Wallet] = {
        f"{spec.venue}/{spec.account}": ExchangeWallet(link, free(0)),
        f"{second.name}/{spec.account}": PaperWallet(second, free(1)),
    }
    terms = {asset: Terms(terms_units(section.fees, asset)) for asset in (base, quote)}
    return Rebalancing(
        name,
        (base, quote),
        tuple(wallets),
        AccountTransfers(wallets, terms, clock, delay_ns=int(section.delay_s * NS_PER_S)),
        section,
        memory,
        clock,
        notices,
        price=price,
        expected=lambda: chooser.expected(name),
        charge=lambda cost: chooser.charge(name, cost),
    )
