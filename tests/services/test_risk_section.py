"""`[risk]`: what it says is what binds, and nonsense is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.config import ConfigError, load_config
from mrmarket.services.risk_section import RiskSection
from mrmarket.trading.execution.risk.board import Rearming
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.restart import RestartLimits


def test_the_defaults_are_the_rooms_own() -> None:
    """Whoever configures nothing gets what the code promises."""
    section = RiskSection()
    assert section.breakers() == BreakerLimits()
    assert section.orders() == RiskLimits()
    assert section.rearming() == Rearming()
    assert section.restarts() == RestartLimits()


def test_what_the_file_says_reaches_the_breakers(tmp_path: Path) -> None:
    """Amounts exact, durations in seconds."""
    file = tmp_path / "m.toml"
    file.write_text(
        "[risk]\nloss_1m_quote = 12.5\nstale_after_s = 2.5\nmax_notional = 100\ncool_down_s = 5\n"
        "restarts_per_hour = 2\ncancel_reserve = 0.2\n"
    )
    section = load_config(file, {}).config.risk
    assert section.breakers().loss_1m.quote == Decimal("12.5")
    assert section.breakers().stale_after_ns == 2_500_000_000
    assert section.breakers().budget_share == section.orders().cancel_reserve == pytest.approx(0.2)
    assert section.orders().max_notional == 100
    assert section.rearming().cool_down_ns == 5 * NS_PER_S
    assert section.restarts().per_hour == 2


@pytest.mark.parametrize(
    "line", ["price_band = 0", "loss_1h_share = -0.1", "unknown_orders = 0", "nonsense = 1", "dwell_s = -1"]
)
def test_nonsense_is_refused(tmp_path: Path, line: str) -> None:
    """The error names the key."""
    file = tmp_path / "m.toml"
    file.write_text(f"[risk]\n{line}\n")
    with pytest.raises(ConfigError, match=line.split(" ", maxsplit=1)[0]):
        load_config(file, {})


def test_an_amount_that_is_no_number_is_refused() -> None:
    """A limit that is not a number would never be reached."""
    with pytest.raises(msgspec.ValidationError, match="max_notional"):
        msgspec.convert({"max_notional": "NaN"}, RiskSection)
