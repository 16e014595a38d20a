"""What an engine's configuration refuses, and the names that engines agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.engine.section import EngineSection, RunSection
from mrmarket.services.engine.specs import is_further, put_specs
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.operations import DesiredState, RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations


def test_a_lease_that_cannot_be_renewed_in_time_is_refused() -> None:
    """Two renewals fit into it, and a sign of life is younger than it."""
    with pytest.raises(InvalidInputError, match="at most half of lease_s"):
        EngineTiming(renew_s=4.0, lease_s=6.0)
    with pytest.raises(InvalidInputError, match="above beat_s"):
        EngineTiming(beat_s=3.0, dead_s=3.0)
    with pytest.raises(ValueError, match="at most half of lease_s"):
        EngineSection(renew_s=50.0, lease_s=60.0)
    assert EngineTiming().lease_ns == 6_000_000_000


def test_a_further_run_does_not_trade_with_the_pools_money() -> None:
    """Its trades there would be in no book."""
    with pytest.raises(ValueError, match="pool's money"):
        RunSection(id="second", account="default")
    assert is_further("second")
    assert not is_further("binance.BTCUSDT")


def test_every_process_is_given_the_name_that_the_first_one_proposed(tmp_path: Path) -> None:
    """It is a part of every order id, so it must not depend on who asks."""
    operations = SqliteOperations.open(tmp_path / "control.db")
    assert shared_identity(operations, "first", 1) == "first"
    assert shared_identity(operations, "second", 2) == "first"
    operations.close()


class Overtaken(SqliteOperations):
    """Another process writes each specification down just before us."""

    def put_run(self, spec: RunSpec) -> None:
        """Theirs first, then ours, which is too old by now."""
        super().put_run(spec)
        super().put_run(spec)


def test_who_was_first_with_a_specification_is_believed(tmp_path: Path) -> None:
    """A stale revision is no error: it is there already; and what nobody names any more is stopped."""
    operations = Overtaken.open(tmp_path / "control.db")
    spec = RunSpec(id="r", venue="v", account="a", pair="BTC/USDT", kind="k", parameters={})
    assert put_specs(operations, [spec]) == [spec]
    (stopped,) = put_specs(operations, [])
    assert (stopped.desired, stopped.revision) == (DesiredState.STOPPED, spec.revision + 1)
    operations.close()
