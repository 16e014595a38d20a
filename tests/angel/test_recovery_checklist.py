"""The checklist after an intervention: what is done, what comes by itself, what a person must do."""

from __future__ import annotations

from typing import Any

import pytest

from mrmarket.angel.checklist import RecoveryFacts, StepState, checklist
from mrmarket.angel.recovery import CAUSE
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.operations import AngelAction, Beat, Finding, Restriction, RunReport, RunSpec

ANGEL = Beat(node="angel-1", role="angel", seq=1, started_ms=1, at_ms=1, detail={"stage": "watching"})
ENGINE = Beat(node="engine-1", role="engine", seq=1, started_ms=1, at_ms=1)
SPEC = RunSpec(id="run-1", venue="alpha", pair="BTC/USDT", kind="pure_market_making")
REPORT = RunReport(run="run-1", node="engine-1", fence=3, at_ms=1, state="running")


def states(**facts: Any) -> dict[str, StepState]:
    """The state of each step."""
    everything: dict[str, Any] = {
        "now_ns": 100,
        "beats": [ANGEL, ENGINE],
        "specs": [SPEC],
        "reports": [REPORT],
    }
    return {step.step: step.state for step in checklist(RecoveryFacts(**(everything | facts)))}


def action(name: str, target: str = "") -> AngelAction:
    """Something that the Angel did in one incident."""
    return AngelAction(
        id=f"{name}{target}", angel="angel-1", at_ms=1, incident="i", action=name, target=target
    )


def test_an_instance_at_peace_has_nothing_left_to_do() -> None:
    """Every step is done."""
    assert set(states().values()) == {StepState.DONE}


@pytest.mark.parametrize(
    ("step", "state", "facts"),
    [
        ("angel", StepState.ACTION, {"beats": [ENGINE]}),
        ("engine", StepState.ACTION, {"beats": [ANGEL]}),
        ("swept", StepState.WAITING, {"actions": [action("proving"), action("intervene")]}),
        ("swept", StepState.DONE, {"actions": [action("closed"), action("intervene")]}),
        (
            "leases",
            StepState.WAITING,
            {"leases": [LeaseRow(name="run-1", fence=2, owner="angel-1", expires_ns=101)]},
        ),
        (
            "leases",
            StepState.DONE,
            {"leases": [LeaseRow(name="run-1", fence=2, owner="angel-1", expires_ns=0)]},
        ),
        (
            "restrictions",
            StepState.ACTION,
            {"restrictions": [Restriction(scope="instance", cause=CAUSE, state="halt", by="a", since_ms=1)]},
        ),
        (
            "restrictions",
            StepState.WAITING,
            {
                "restrictions": [
                    Restriction(
                        scope="run:run-1", cause="loss_1m", state="reduce", by="r", since_ms=1, until_ms=9
                    )
                ]
            },
        ),
        (
            "differences",
            StepState.ACTION,
            {
                "findings": [
                    Finding(
                        key="k",
                        run="run-1",
                        kind="balance",
                        subject="BTC",
                        ours="1",
                        theirs="2",
                        first_ms=1,
                        last_ms=1,
                    )
                ]
            },
        ),
        ("runs", StepState.WAITING, {"reports": []}),
        ("runs", StepState.UNKNOWN, {"specs": []}),
    ],
)
def test_each_step_says_how_it_stands(step: str, state: StepState, facts: dict[str, Any]) -> None:
    """Whatever holds trading back shows in its own line."""
    assert states(**facts)[step] is state


def test_a_manual_recovery_names_the_command_that_ends_it() -> None:
    """So that nobody has to look it up."""
    held = Restriction(scope="instance", cause=CAUSE, state="halt", by="a", since_ms=1)
    steps = {step.step: step for step in checklist(RecoveryFacts(now_ns=1, restrictions=[held]))}
    assert "mrmarket angel resume" in steps["restrictions"].what


def test_an_exchange_that_does_not_answer_is_named() -> None:
    """Only as long as it is not proven."""
    silent = [action("venue_silent", "alpha"), action("venue_silent", "beta"), action("intervene")]
    steps = {step.step: step for step in checklist(RecoveryFacts(now_ns=1, actions=silent))}
    assert "alpha, beta does not answer" in steps["swept"].what
    proven = [action("proven", "alpha"), *silent]
    steps = {step.step: step for step in checklist(RecoveryFacts(now_ns=1, actions=proven))}
    assert steps["swept"].what.startswith("beta does not answer")
