"""Each check of campaigns' rewards catches the fault that it is there for, planted in real code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec.structs import replace as altered

from mrmarket.campaigns import pipeline
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.ports import JoinState, JoinStatus, PayoutSeen
from mrmarket.campaigns.rows import PayoutRow
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.payouts.port import SendReport
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.rows import RunRow
from mrmarket.partners.chains.transfer import Block
from mrmarket.partners.chains.transfer import Transfer as ChainTransfer
from mrmarket.simulation import partner
from mrmarket.simulation.chain_line import NodeLine
from mrmarket.simulation.partner import REWARD, PartnerLine
from mrmarket.simulation.plan import CampaignPlan, Happening, Plan
from mrmarket.simulation.rail import Rail
from mrmarket.simulation.seed import run_seed
from mrmarket.simulation.weather import FaultKind
from simulation.test_planted_faults import plan

Patch = pytest.MonkeyPatch

REORGANISATIONS = tuple(
    Happening(at_s, FaultKind.CHAIN_REORGANISATION, 0.0, 0.0, 0.99) for at_s in range(430, 1_900, 170)
)
"""As deep as they come."""


def rewarded(*happenings: Happening, rates: dict[FaultKind, float] | None = None) -> Plan:
    """A world with one campaign, in which only what is named goes wrong."""
    calm = plan(*happenings, rates=rates, depositors=1)
    return replace(calm, storm_s=2_000.0, end_s=2_100.0, campaigns=CampaignPlan(1, 3, 25.0, 60.0))


def found(seed_plan: Plan) -> set[str]:
    """Names of the checks that found something."""
    return {violation.check for violation in run_seed(1, seed_plan).violations}


def test_a_calm_campaign_is_paid_to_the_unit() -> None:
    """Without faults nothing is found, and every cycle's payout is taken."""
    report = run_seed(1, rewarded())
    assert report.violations == ()
    assert report.payouts >= 6


def test_deep_reorganisations_are_made_good() -> None:
    """What was final is gone again and again, a person accepts it, and every unit is accounted for."""
    report = run_seed(1, rewarded(*REORGANISATIONS))
    assert report.violations == ()
    assert report.faults["chain_reorganisation"] == len(REORGANISATIONS)


def test_a_node_that_leaves_logs_out(monkeypatch: Patch) -> None:
    """`paid_once`: a watcher that believes an answer without logs."""

    async def nothing(_line: NodeLine, _block: Block, _recipients: Sequence[str]) -> list[ChainTransfer]:
        return []

    monkeypatch.setattr(NodeLine, "transfers", nothing)
    assert "paid_once" in found(rewarded())


def test_a_payout_taken_as_another_amount(monkeypatch: Patch) -> None:
    """`identity` and `paid_once`: a unit more than the chain says."""
    row = pipeline._row

    def generous(seen: PayoutSeen, name: str, at_ms: int) -> PayoutRow:
        made = row(seen, name, at_ms)
        return altered(made, units=made.units + 1)

    monkeypatch.setattr(pipeline, "_row", generous)
    monkeypatch.setattr(pipeline, "_is_same", lambda _payout, _seen: True)
    assert {"identity", "paid_once"} <= found(rewarded())


def test_a_retraction_that_is_not_heard(monkeypatch: Patch) -> None:
    """`identity` or `paid_once`: rewards for payouts that the chain took back for good."""
    monkeypatch.setattr(pipeline, "_retract", lambda _draft, _seen: False)
    monkeypatch.setattr(partner, "_FORGOTTEN", 1.0)
    assert "paid_once" in found(rewarded(*REORGANISATIONS))


def test_a_reward_credited_twice(monkeypatch: Patch) -> None:
    """`identity`: an allocator that credits somebody once more, under another key."""
    allocate = Allocator.allocate

    def generous(allocator: Allocator, campaign: str, day: int, *, reconsider: bool = False) -> list[RunRow]:
        runs = allocate(allocator, campaign, day, reconsider=reconsider)

        def again(draft: Draft) -> object:
            world = Account.of(AccountKind.EXTERNAL, "nowhere")
            user = Account.of(AccountKind.USER, "owner")
            moved = Transfer(world.id, user.id, REWARD.id, 1, TransferKind.CREDIT_REWARD)
            opened = tuple(each for each in (world, user) if draft.account(each.id) is None)
            return draft.post(Group(f"again:{campaign}:{day}", (moved,), accounts=opened))

        allocator._writer.perform(again).result()
        return runs

    monkeypatch.setattr(Allocator, "allocate", generous)
    assert "identity" in found(rewarded())


def test_a_campaign_that_is_not_joined(monkeypatch: Patch) -> None:
    """`joined`: somebody who takes himself for a participant."""

    async def of_course(_line: PartnerLine, _offer: Offer) -> JoinStatus:
        return JoinStatus(JoinState.JOINED, 1)

    async def nothing(_line: PartnerLine, _offer: Offer) -> None:
        return None

    monkeypatch.setattr(PartnerLine, "status", of_course)
    monkeypatch.setattr(PartnerLine, "join", nothing)
    assert "joined" in found(rewarded())


def test_a_withdrawal_that_is_paid_twice(monkeypatch: Patch) -> None:
    """`rail_balance`: the other rail is paid from more than once for one payout."""
    send = Rail.send

    def twice(rail: Rail, key: str, sender: str, destination: str, units: int, memo: str) -> SendReport:
        if rail.name == REWARD.namespace:
            send(rail, key + "again", sender, destination, units, memo)
        return send(rail, key, sender, destination, units, memo)

    monkeypatch.setattr(Rail, "send", twice)
    assert "rail_balance" in found(rewarded())
