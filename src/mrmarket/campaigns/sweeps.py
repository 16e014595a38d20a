"""Moving rewards from the vault to where users are paid from: one transfer a token and window, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from mrmarket.campaigns.pipeline import generation_of, is_entered, ref_of, source_of
from mrmarket.campaigns.ports import Sweep, SweepState
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutStep, PayoutStepRow
from mrmarket.core.crash import reach
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.repository import PaymentRepository
from mrmarket.money.rewards.afar import network_of
from mrmarket.money.rewards.campaign import Span
from mrmarket.money.rewards.division import divide, salted_tie
from mrmarket.money.rewards.jobs import Job, Window
from mrmarket.money.rewards.receipts import charge_network
from mrmarket.money.rewards.repository import DayKey, RewardRepository
from mrmarket.store.sql import Sql

SWEEP_JOB: Final = "sweep"


@dataclass(frozen=True, slots=True)
class PlannedSweep:
    """A transfer that is written down and to be asked for, again and again, under its key."""

    key: str
    chain_id: int
    token: str
    units: int
    """Of the token; what the ledger has entries for, without remainders."""
    payouts: tuple[str, ...]


def sweep_key(chain_id: int, token: str, window: Span | Window) -> str:
    """Natural key of a window's transfer; asking twice under it is one transfer."""
    return f"sweep:{chain_id}:{token}:{window.start_ms}"


def plan_sweep(draft: Draft, *, chain_id: int, token: str, window: Span | Window) -> PlannedSweep | None:
    """Put everything that waits in the vault into the window's transfer; None where nothing waits.

    Repeating finds the same transfer, with the same units, whatever has come in since.
    """
    repository = CampaignRepository(draft.sql)
    key = sweep_key(chain_id, token, window)
    if not repository.steps_of_ref(PayoutStep.SWEEPING, key):
        for payout in repository.unswept(chain_id, token):
            units = payout.units - _remainder(repository.payout_steps(payout.id))
            repository.add_step(PayoutStepRow(payout.id, PayoutStep.SWEEPING, key, units, "", draft.at_ms))
        reach("campaigns.sweep_planned")
    return planned(draft.sql, key)


def planned(sql: Sql, key: str) -> PlannedSweep | None:
    """A transfer as it was written down."""
    repository = CampaignRepository(sql)
    steps = repository.steps_of_ref(PayoutStep.SWEEPING, key)
    first = repository.payout(steps[0].payout) if steps else None
    if first is None:
        return None
    units = sum(step.units for step in steps)
    return PlannedSweep(key, first.chain_id, first.token, units, tuple(step.payout for step in steps))


def open_sweeps(sql: Sql) -> list[PlannedSweep]:
    """Transfers whose end is not known."""
    found = [planned(sql, key) for key in CampaignRepository(sql).open_sweeps()]
    return [one for one in found if one is not None]


def gone_from(sql: Sql, plan: PlannedSweep) -> list[str]:
    """Payouts of a planned transfer that the chain has taken back: it may ask for more than there is."""
    repository = CampaignRepository(sql)
    return [payout for payout in plan.payouts if not is_entered(repository.payout_steps(payout))]


def settle_sweep(draft: Draft, sweep: Sweep, rail: str) -> bool:
    """Write down how a transfer ended; whether that was news. What it cost is taken out of its rewards.

    A transfer that failed leaves its payouts to the next window.
    """
    if sweep.state is SweepState.SENT:
        return False
    repository = CampaignRepository(draft.sql)
    if sweep.key not in repository.open_sweeps():
        return False
    step = PayoutStep.ARRIVED if sweep.state is SweepState.SETTLED else PayoutStep.SWEEP_FAILED
    steps = repository.steps_of_ref(PayoutStep.SWEEPING, sweep.key)
    for one in steps:
        why = sweep.arrival or sweep.tx
        repository.add_step(PayoutStepRow(one.payout, step, sweep.key, one.units, why, draft.at_ms))
    if sweep.cost_units and step is PayoutStep.ARRIVED:
        _charge(draft, sweep, steps)
    if sweep.arrival:
        _look_soon(draft, rail, sweep.arrival)
    reach("campaigns.sweep_settled")
    return True


def sweep_job(writer: LedgerWriter, tokens: Sequence[tuple[int, str]], start_ms: int, period_ms: int) -> Job:
    """Plans each window's transfers once it is over; `CampaignRounds.sweep` sends them from then on.

    `tokens` are chain and address. After a downtime the first window takes everything that waits.
    """

    def work(window: Window) -> None:
        for chain_id, token in tokens:
            writer.perform(partial(plan_sweep, chain_id=chain_id, token=token, window=window)).result()

    return Job(SWEEP_JOB, "vault", start_ms, period_ms, work)


def ready_days(sql: Sql) -> list[DayKey]:
    """Days with rewards that no run has seen, all of which have arrived where users are paid from."""
    repository = CampaignRepository(sql)
    ready: list[DayKey] = []
    for key in RewardRepository(sql).unfinished_days():
        payouts = repository.payouts(key[0], key[1])
        if all(_has_arrived(repository.payout_steps(payout.id)) for payout in payouts):
            ready.append(key)
    return ready


def _has_arrived(steps: Sequence[PayoutStepRow]) -> bool:
    return not is_entered(steps) or any(step.step is PayoutStep.ARRIVED for step in steps)


def _remainder(steps: Sequence[PayoutStepRow]) -> int:
    gone = {step.ref for step in steps if step.step is PayoutStep.RETRACTED}
    return sum(step.units for step in steps if step.step is PayoutStep.REMAINDER and step.ref not in gone)


def _charge(draft: Draft, sweep: Sweep, steps: Sequence[PayoutStepRow]) -> None:
    """Divide the cost of a transfer over its rewards, to the unit of the ledger's asset."""
    repository = CampaignRepository(draft.sql)
    names = [step.payout for step in steps]
    whole = _in_ledger(sweep.cost_units, steps[0], repository.payout_steps(steps[0].payout))
    parts = divide(whole, [step.units for step in steps], salted_tie(sweep.key, names))
    for name, units in zip(names, parts, strict=True):
        payout = repository.payout(name)
        history = repository.payout_steps(name)
        if not units or payout is None or not is_entered(history):
            continue  # what the chain took back bears no cost; the vault's own book has it
        ref = ref_of(payout, generation_of(history))
        charge_network(draft, source_of(payout), ref, sweep.key, units, network_of(payout.chain_id))
        repository.add_step(PayoutStepRow(name, PayoutStep.COST, sweep.key, units, sweep.tx, draft.at_ms))


def _look_soon(draft: Draft, rail: str, arrival: str) -> None:
    """The payment that waited to be known as this transfer's arrival need wait no longer."""
    repository = PaymentRepository(draft.sql)
    payment = repository.find(rail, arrival)
    if payment is not None and payment.standing is Standing.RECEIVED and payment.due_ms > draft.at_ms:
        repository.put(replace(payment, due_ms=draft.at_ms))


def _in_ledger(units: int, swept: PayoutStepRow, history: Sequence[PayoutStepRow]) -> int:
    """The same of the ledger's asset, rounded up; what was swept was entered, which tells the rate."""
    entered = next(step.units for step in reversed(history) if step.step is PayoutStep.ENTERED)
    return -(-units * entered // swept.units)
