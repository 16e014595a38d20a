"""What must be true of campaigns' rewards, by the chain's, the partner's and the rail's own truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from mrmarket.campaigns.entity import Stage
from mrmarket.campaigns.identity import identity
from mrmarket.campaigns.pipeline import is_entered
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.sweeps import ready_days
from mrmarket.money.payouts.payout import rail_account
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.word import ObservedWord
from mrmarket.simulation.chain import CHAIN_ID, TOKEN, VAULT
from mrmarket.simulation.partner import REWARD
from mrmarket.simulation.rail import TREASURY
from mrmarket.simulation.rewards import RewardWorld
from mrmarket.store.sql import Sql

Report = Callable[[str, str], None]
"""Takes the name of a check, and what it found."""

_PATH: Final = Path("chains.db")


def look(sql: Sql, report: Report) -> None:
    """What must hold at every moment: the identity of the books."""
    for fault in identity(sql).faults:
        report("identity", fault)


def is_settled(sql: Sql, world: RewardWorld) -> bool:
    """Whether every payout has come to its end."""
    if (
        world.partner.in_flight()
        or world.partner.rail.in_flight
        or _paid(world, 0) != _paid(world, world.plan.confirmations)
        or _paid(world, 0).keys() != _entered(sql).keys()
    ):
        return False
    repository = CampaignRepository(sql)
    return not (repository.open_sweeps() or repository.unswept(CHAIN_ID, TOKEN) or ready_days(sql))


def look_at_rest(sql: Sql, world: RewardWorld, report: Report) -> None:
    """Everything once nothing moves."""
    book = ChainBook(_PATH, world.database)
    word = ObservedWord(Observations(book), [CHAIN_ID], [VAULT])
    for fault in identity(sql, word, deep=True).faults:
        report("identity", fault)
    _check_ends(sql, world, report)
    _check_chain(sql, world, report)
    _check_joins(sql, world, report)
    _check_rail(sql, world, report)


def _check_ends(sql: Sql, world: RewardWorld, report: Report) -> None:
    repository = CampaignRepository(sql)
    for key in repository.open_sweeps():
        report("payouts_end", f"{key} has not ended")
    for payout in repository.unswept(CHAIN_ID, TOKEN):
        report("payouts_end", f"payout {payout.tx[:10]}:{payout.log} was not sent on")
    for day in ready_days(sql):
        report("payouts_end", f"{day} was not allocated")
    if world.partner.in_flight():
        report("payouts_end", "something is on the chain still")


def _check_chain(sql: Sql, world: RewardWorld, report: Report) -> None:
    """Every payout that is final on the chain was entered once, and nothing else was."""
    final, entered = _paid(world, world.plan.confirmations), _entered(sql)
    for name in sorted(final.keys() - entered.keys()):
        report("paid_once", f"payout {name[0][:10]}:{name[1]} of {final[name]} is final and was not taken")
    for name in sorted(entered.keys() - _paid(world, 0).keys()):
        report("paid_once", f"payout {name[0][:10]}:{name[1]} of {entered[name]} is not on the chain")
    for name in sorted(entered.keys() & final.keys()):
        if entered[name] != final[name]:
            report("paid_once", f"payout {name[0][:10]}:{name[1]} was taken as {entered[name]}")


def _paid(world: RewardWorld, below: int) -> dict[tuple[str, int], int]:
    """Units of what campaigns have paid on the chain, but for its newest blocks, by transaction and log."""
    escrows = {offer.address for offer in world.partner.offers.values()}
    return {
        (tx_hash, log): move.units
        for tx_hash, log, move in world.partner.chain.moves(below)
        if move.recipient == VAULT and move.sender in escrows
    }


def _entered(sql: Sql) -> dict[tuple[str, int], int]:
    """The same by the books."""
    repository = CampaignRepository(sql)
    return {
        (payout.tx, payout.log): payout.units
        for payout in repository.all_payouts()
        if is_entered(repository.payout_steps(payout.id))
    }


def _check_joins(sql: Sql, world: RewardWorld, report: Report) -> None:
    out = {Stage.DISCOVERED, Stage.JOINABLE, Stage.JOINING, Stage.UNKNOWN}
    for campaign in CampaignRepository(sql).campaigns():
        if (campaign.id in world.partner.joined_ms) is (campaign.stage in out):
            report("joined", f"{campaign.id} is {campaign.stage.value}, and the partner says otherwise")


def _check_rail(sql: Sql, world: RewardWorld, report: Report) -> None:
    rail = world.partner.rail
    rows = sql.rows(
        "SELECT units FROM balances WHERE account = ? AND asset = ?", rail_account(rail.name).id, REWARD.id
    )
    booked = -int(rows[0][0]) if rows else 0
    if booked != rail.balances[TREASURY]:
        report("rail_balance", f"the books have {booked} on {rail.name}, it has {rail.balances[TREASURY]}")
