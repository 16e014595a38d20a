"""Tapes that can be read but not traded on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.trading.market.errors import TapeInverseError
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.feed import open_feed


@pytest.mark.parametrize("name", ["BTCUSD_PERP", "ETHUSD_240927"])
def test_a_coin_margined_contract_is_refused(tmp_path: Path, name: str) -> None:
    """Its sizes count dollars, and an exchange that took them for coins would pay out nonsense."""
    tape = tmp_path / "coin.txt"
    trade = f'{{"e":"trade","E":1,"s":"{name}","t":1,"p":"60000.1","q":"3","T":1,"m":true}}'
    tape.write_text("".join(f'{number} {{"stream":"x@trade","data":{trade}}}\n' for number in range(1, 4)))
    with pytest.raises(TapeInverseError, match=f"{name} is a coin-margined contract"):
        open_feed(VenueConfig(tapes=[str(tape)]), 0, b"")
