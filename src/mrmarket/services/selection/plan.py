"""From the configuration to candidates, and to the runs that they trade in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.specs import further_spec
from mrmarket.services.selection.section import MAIN, SelectionSection
from mrmarket.store.operations import DesiredState, RunSpec
from mrmarket.trading.strategy.selection.candidate import Activity, Candidate, MutexKey


@dataclass(frozen=True, slots=True)
class Plan:
    """A candidate and the run that trades when it has the turn."""

    candidate: Candidate
    spec: RunSpec
    """What its run looks like then; several candidates may share a run."""

    @property
    def fingerprint(self) -> str:
        """The same for the same strategy with the same parameters on the same pair and account."""
        spec = self.spec
        said = (spec.kind, spec.parameters, spec.pair, spec.venue, spec.account)
        return sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:16]

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.spec.id


def selection_plans(section: SelectionSection, main: RunSpec) -> dict[str, Plan]:
    """Every candidate by id, that of `[strategy]` first.

    Args:
        section: `[selection]`.
        main: the run of `[strategy]` as the configuration has it.
    """
    first = Candidate(
        id=MAIN,
        activity=Activity.MARKET_MAKING,
        keys=_keys(main),
        switch_cost=section.main_switch_cost,
    )
    plans = {MAIN: Plan(first, main)}
    for each in section.candidates:
        own = further_spec(each.id, main.venue, each.account, main.pair, each.strategy)
        shares = each.account == MAIN_ACCOUNT
        spec = msgspec.structs.replace(own, id=main.id, pool=main.pool) if shares else own
        candidate = Candidate(
            id=each.id,
            activity=Activity(each.activity),
            keys=_keys(spec),
            can_interrupt_current=each.can_interrupt,
            switch_cost=each.switch_cost,
        )
        plans[each.id] = Plan(candidate, spec)
    return plans


def specs_for(plans: Mapping[str, Plan], current: str) -> list[RunSpec]:
    """What every run looks like while a candidate has the turn: its own runs, the others are paused."""
    specs: dict[str, RunSpec] = {}
    for plan in plans.values():
        specs.setdefault(plan.run, msgspec.structs.replace(plan.spec, desired=DesiredState.PAUSED))
    if current in plans:
        specs[plans[current].run] = plans[current].spec
    return list(specs.values())


def same_strategy(one: RunSpec, other: RunSpec) -> bool:
    """Whether two specifications of a run are the same strategy with the same parameters."""
    return (one.kind, one.parameters, one.pair) == (other.kind, other.parameters, other.pair)


def candidates_of(plans: Iterable[Plan]) -> dict[str, Candidate]:
    """The candidates alone."""
    return {plan.candidate.id: plan.candidate for plan in plans}


def _keys(spec: RunSpec) -> tuple[MutexKey, ...]:
    return (MutexKey(pool=spec.pool, account=f"{spec.venue}/{spec.account}", pair=spec.pair),)
