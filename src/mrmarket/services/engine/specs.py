"""From the configuration to the specifications that engines read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from mrmarket.services.engine.section import MAIN_ACCOUNT, RunSection
from mrmarket.store.errors import StaleRevisionError
from mrmarket.store.operations import DesiredState, OperationsStore, RunSpec
from mrmarket.trading.strategy.schema import StrategyParameters, StrategySchema, kind_of


def venue_name(venue: str, account: str) -> str:
    """What an account's venue is called in facts: trades of two accounts are never taken for one."""
    return venue if account == MAIN_ACCOUNT else f"{venue}-{account}"


def main_spec(stream: str, venue: str, pair: str, parameters: StrategyParameters, pool: str) -> RunSpec:
    """The run of `[strategy]`."""
    return _spec(stream, venue, MAIN_ACCOUNT, pair, parameters, pool)


def further_specs(sections: Iterable[RunSection], venue: str) -> list[RunSpec]:
    """The runs of `[[runs]]`."""
    return [
        further_spec(section.id, venue, section.account, section.strategy.pair, section.strategy)
        for section in sections
    ]


def further_spec(run: str, venue: str, account: str, pair: str, parameters: StrategyParameters) -> RunSpec:
    """A run with its account's own money."""
    return _spec(run, venue, account, pair, parameters, "")


def is_further(run: str) -> bool:
    """Whether a run's id is one of `[[runs]]`; that of `[strategy]` is made of venue and market."""
    return "." not in run


def pairs_of(spec: RunSpec) -> tuple[str, ...]:
    """Every pair that a run trades, its own first."""
    return (spec.pair, *(str(each) for each in spec.parameters.get("pairs", ())))


def pairs_named(parameters: StrategyParameters) -> tuple[str, ...]:
    """The same of parameters."""
    return (parameters.pair, *getattr(parameters, "pairs", ()))


def what_runs(spec: RunSpec) -> tuple[object, ...]:
    """What makes a run another run; what the owner wants of it does not."""
    return (spec.venue, spec.account, spec.pair, spec.kind, spec.parameters, spec.pool)


def put_specs(operations: OperationsStore, specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Write down what the configuration says, where it says something new; returns what is in force.

    What the owner wanted of a run (to be paused, say) outlives a restart. A run that the configuration no
    longer names is stopped.
    """
    known = {spec.id: spec for spec in operations.run_specs()}
    wanted = {spec.id: spec for spec in specs}
    for run, spec in wanted.items():
        there = known.get(run)
        if there is None:
            _put(operations, spec)
            continue
        desired = DesiredState.RUNNING if there.desired is DesiredState.STOPPED else there.desired
        same = msgspec.structs.replace(spec, desired=desired, revision=there.revision)
        if same != there:
            _put(operations, msgspec.structs.replace(same, revision=there.revision + 1))
    for run, there in known.items():
        if run not in wanted and there.desired is not DesiredState.STOPPED:
            stopped = msgspec.structs.replace(
                there, desired=DesiredState.STOPPED, revision=there.revision + 1
            )
            _put(operations, stopped)
    return operations.run_specs()


def _put(operations: OperationsStore, spec: RunSpec) -> None:
    try:
        operations.put_run(spec)
    except StaleRevisionError:
        # Another process of this instance was first, with the same configuration or a later wish.
        return


def _spec(
    run: str, venue: str, account: str, pair: str, parameters: StrategyParameters, pool: str
) -> RunSpec:
    # As the database gives them back.
    assert isinstance(parameters, StrategySchema)  # noqa: S101 - nothing else is one
    plain = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(parameters, pair=pair)))
    del plain["kind"]
    return RunSpec(
        id=run,
        venue=venue,
        account=account,
        pair=pair,
        kind=kind_of(parameters),
        parameters=plain,
        pool=pool,
    )
