"""Every unit from the chain to the users is accounted for, and whatever is not is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import pytest

from campaigns.campaign_stage import CHAIN, CYCLE_MS, HMT, START_MS, TOKEN, CampaignStage, payout
from campaigns.test_campaign_payouts import ONE, allocate, sweep_now, tell
from mrmarket.campaigns.arrivals import ARRIVAL, arrival_claimer
from mrmarket.campaigns.identity import ChainStanding, ChainTransfer, IdentityReport, identity, withdrawn
from mrmarket.campaigns.ports import SweepState
from mrmarket.campaigns.shares import share_faults
from mrmarket.core.money import Asset
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payment import Payment
from mrmarket.money.payouts.payment import Standing as PaymentStanding
from mrmarket.money.payouts.port import IncomingPayment, PaymentRail, PaymentState
from mrmarket.money.solvency.comparison import Place, Seen, Standing, compare
from mrmarket.money.solvency.transit import spans_of
from mrmarket.store.sqlite import connect

SWEEP = f"sweep:{CHAIN}:{TOKEN}:{START_MS}"


@dataclass
class Chain:
    """What a chain's own book has; written by hand."""

    known: list[ChainTransfer] = field(default_factory=list)

    def transfers(self) -> Iterator[ChainTransfer]:
        """Port `ChainWord`."""
        yield from self.known

    def pays(self, tx: str, units: int, standing: ChainStanding = ChainStanding.FINAL) -> None:
        """A transfer to the wallet."""
        self.known.append(ChainTransfer(CHAIN, tx, 7, TOKEN, units, standing))


class Rail:
    """The part of a payment rail that the intake looks at."""

    name = "mixin"

    def assets(self) -> list[Asset]:
        """The reward's asset."""
        return [HMT]

    def valid_destination(self, text: str) -> str | None:
        """Whoever has a name."""
        return text or None


def arrive(stage: CampaignStage, name: str, units: int, sender: str = "") -> Payment:
    """The rail tells of a payment, and the claimers are asked."""
    intake = Intake({"mixin": cast("PaymentRail", Rail())}, Outbox(), claimers=(arrival_claimer("mixin"),))
    update = IncomingPayment(
        "mixin", name, HMT.code, units, sender, "", PaymentState.CONFIRMED, 1, 1, START_MS + 9
    )
    stage.do(lambda draft: intake.book(draft, update))
    return stage.do(lambda draft: intake.decide(draft, "mixin", name, START_MS))


def worked_out(stage: CampaignStage, chain: Chain | None = None) -> IdentityReport:
    """The identity as it stands."""
    return stage.read(lambda sql: identity(sql, chain, deep=True))


async def paid(stage: CampaignStage, *payouts: tuple[str, int], cost: int = 0) -> Chain:
    """Payouts are taken, swept and settled; what the chain says of it."""
    chain = Chain()
    stage.world.sweep_cost = cost
    await stage.round()
    tell(stage, *(payout(tx, units) for tx, units in payouts))
    for tx, units in payouts:
        chain.pays(tx, units)
    stage.pass_time(CYCLE_MS)
    await stage.round()
    sweep_now(stage)
    await stage.round()
    return chain


async def test_each_step_keeps_the_identity(either: CampaignStage) -> None:
    """Taken, swept, arrived on the rail, allocated: every unit is somewhere, and the report says where."""
    stage = either
    chain = await paid(stage, ("0x01", 10 * 10**18 + 123), ("0x02", 3 * 10**18), cost=7)
    report = worked_out(stage, chain)
    (asset,) = report.assets
    assert (report.faults, asset.received, asset.network, asset.in_transit) == ([], 13 * ONE, 7, 13 * ONE - 7)
    assert asset.afar == 13 * ONE - 7
    (line,) = report.chains
    assert (line.final, line.entered, line.untaken) == (13 * 10**18 + 123, 13 * 10**18 + 123, 0)
    taken = arrive(stage, f"deposit of {SWEEP}", 13 * ONE - 7)
    assert (taken.standing, taken.claim, taken.ref) == (PaymentStanding.CLAIMED, ARRIVAL, SWEEP)
    assert worked_out(stage, chain).assets[0].afar == 0
    allocate(stage)
    report = worked_out(stage, chain)
    (asset,) = report.assets
    assert (report.ok, asset.in_transit, asset.difference) == (True, 0, 0)
    assert asset.received == asset.credited + asset.fees + asset.network
    assert msgspec.json.decode(msgspec.json.encode(report))["assets"][0]["received"] == 13 * ONE


async def test_a_payment_from_a_chain_waits_for_the_sweep_that_it_may_be(stage: CampaignStage) -> None:
    """While the vault has not heard of the end it is neither parked nor sent back; then it is taken."""
    stage.world.sweep_state = SweepState.SENT
    await paid(stage, ("0x01", 10**18))
    assert arrive(stage, f"deposit of {SWEEP}", ONE).standing is PaymentStanding.RECEIVED
    stage.world.sweep_state = SweepState.SETTLED
    await stage.round()
    assert arrive(stage, f"deposit of {SWEEP}", ONE).standing is PaymentStanding.CLAIMED
    assert worked_out(stage).ok
    assert arrive(stage, "a stranger's", 5).standing is PaymentStanding.PARKED
    assert arrive(stage, "a person's", 5, sender="ann").standing is PaymentStanding.REFUNDING


async def test_what_has_not_arrived_is_on_its_way_for_solvency(stage: CampaignStage) -> None:
    """The rail need not hold what still lies in the vault; once it has arrived, it must."""
    await paid(stage, ("0x01", 10**18))
    (span,) = stage.read(lambda sql: list(spans_of(sql)))
    assert (span.asset, span.low, span.high) == (HMT.id, -ONE, -ONE)
    places = {"mixin": Place("mixin", 60_000)}
    for seen, standing in ((0, Standing.MATCHES), (1, Standing.DIFFERS), (-1, Standing.DIFFERS)):
        (line,) = compare({HMT.id: ONE}, {HMT.id: Seen(seen, START_MS)}, [span], places, START_MS)
        assert line.standing is standing
    arrive(stage, f"deposit of {SWEEP}", ONE)
    assert stage.read(lambda sql: list(spans_of(sql))) == []


async def test_what_the_chain_takes_back_is_gone_until_it_is_told(stage: CampaignStage) -> None:
    """Between the chain's word and the next page of payouts the difference has a name."""
    chain = await paid(stage, ("0x01", 10**18), ("0x02", 10**18))
    chain.known[1] = msgspec.structs.replace(chain.known[1], standing=ChainStanding.RETRACTED)
    chain.pays("0x03", 5)
    chain.pays("0x04", 6, ChainStanding.SEEN)
    report = worked_out(stage, chain)
    (line,) = report.chains
    assert (report.faults, line.gone, line.untaken) == ([], 10**18, 5)
    tell(stage, retracted=[payout("0x02")])
    await stage.round()
    report = worked_out(stage, chain)
    assert (report.faults, report.chains[0].gone, report.assets[0].retracted) == ([], 0, ONE)
    assert arrive(stage, f"deposit of {SWEEP}", 2 * ONE).standing is PaymentStanding.CLAIMED
    report = worked_out(stage, chain)
    assert (report.faults, report.assets[0].afar) == ([], -ONE)


async def test_a_payout_that_the_chain_does_not_know_is_a_fault(stage: CampaignStage) -> None:
    """Neither one that it never had nor one with other units passes."""
    chain = await paid(stage, ("0x01", 10**18), ("0x02", 10**18))
    chain.known[0] = msgspec.structs.replace(chain.known[0], units=1)
    del chain.known[1]
    assert sorted(one.partition(" as ")[0] for one in worked_out(stage, chain).faults[:2]) == [
        "the chain does not know payout 0x01:7",
        "the chain does not know payout 0x02:7",
    ]


async def test_parked_payouts_are_counted(stage: CampaignStage) -> None:
    """What fits nothing stays in the vault and in the equation."""
    chain = Chain()
    await stage.round()
    tell(stage, payout("0x01", 10**18, campaign="nobody's"))
    chain.pays("0x01", 10**18)
    await stage.round()
    report = worked_out(stage, chain)
    assert (report.ok, report.chains[0].parked, report.chains[0].entered) == (True, 10**18, 0)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE transfers SET units = '1' WHERE kind = 'CREDIT_REWARD'", "the ledger has credited 2 units"),
        ("UPDATE transfers SET credit = 'user:eve' WHERE kind = 'CREDIT_REWARD'", "user:eve was credited"),
        ("UPDATE reward_rows SET due_units = '7' WHERE account = 'user:ann'", "were to be divided"),
        ("UPDATE reward_rows SET units = '7' WHERE account = 'user:ann'", "user:ann has 7 units"),
        ("DELETE FROM reward_rows WHERE account = 'user:bob'", "what is credited comes to"),
        ("DELETE FROM campaign_payout_steps WHERE step = 'entered'", "came from no payout"),
        (
            "UPDATE balances SET units = '-5' WHERE account LIKE 'external:%'",
            "are booked as not arrived",
        ),
        ("UPDATE payments SET units = '5' WHERE claim = 'campaign_arrival'", "arrived with 5 units"),
        ("UPDATE reward_entries SET units = '300000000'", "miss 200000000 units"),
    ],
)
async def test_whatever_does_not_add_up_is_told(
    stage: CampaignStage, tmp_path: Path, statement: str, sentence: str
) -> None:
    """One figure is altered, and a sentence names it."""
    await paid(stage, ("0x01", 10**18))
    arrive(stage, f"deposit of {SWEEP}", ONE)
    allocate(stage)
    connection = connect(tmp_path / "money.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.close()
    assert any(sentence in fault for fault in _faults(stage))


def _faults(stage: CampaignStage) -> list[str]:
    try:
        return worked_out(stage).faults
    except ValueError as broken:  # a seal speaks first
        return [str(broken), *stage.read(lambda sql: list(share_faults(sql)))]


async def test_what_users_took_out_is_counted(stage: CampaignStage) -> None:
    """Only of assets in which rewards came in, and only what has left for certain."""
    await paid(stage, ("0x01", 10**18))
    assert stage.read(withdrawn) == {}
