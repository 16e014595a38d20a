"""Deposits at Mixin, found by the transaction that made them."""

from __future__ import annotations

import pytest

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains.reward_vault import Arrival
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.partners.mixin.errors import MixinUnclearError
from mrmarket.partners.mixin.feed import format_time, parse_time
from mrmarket.partners.mixin.messages import Snapshot, SnapshotDeposit
from mrmarket.services.partners.arrivals import MixinArrivals
from mrmarket.services.partners.section import Partners
from services.partners.partner_samples import ASSET, CHAIN, TOKEN, partners

NOW = ManualClock()


class ToldSnapshots:
    """Snapshots of a bot, oldest first."""

    def __init__(self, *found: Snapshot) -> None:
        self.found = list(found)
        self.questions = 0
        self.is_down = False

    async def snapshots(self, *, offset: str = "", limit: int = 500) -> list[Snapshot]:
        """As Mixin's API."""
        self.questions += 1
        if self.is_down:
            raise MixinUnclearError("GET /safe/snapshots", "no answer")
        since_ns = parse_time(offset) if offset else 0
        return [one for one in self.found if parse_time(one.created_at) >= since_ns][:limit]


def snapshot(number: int, tx_hash: str = "", amount: str = "1.5", asset: str = ASSET) -> Snapshot:
    """One of the bot's, so many seconds after the beginning."""
    at = format_time(NOW.now_ns() + number * NS_PER_S)
    deposit = SnapshotDeposit(tx_hash, 0, "0xsender") if tx_hash else None
    return Snapshot(f"snapshot-{number}", asset, amount, at, deposit=deposit)


def arrivals(mixin: ToldSnapshots, found: Partners | None = None) -> MixinArrivals:
    """Over what is told."""
    return MixinArrivals(mixin, found or partners(), NOW)  # type: ignore[arg-type] # what of it is asked


async def test_an_arrival_is_named_by_its_snapshot_and_counted_in_the_tokens_units() -> None:
    """8 digits at Mixin are 18 of the token; hashes are compared without regard to case."""
    mixin = ToldSnapshots(snapshot(1), snapshot(2, "0xAB"), snapshot(3, "0xcd", "-1.5"))
    found = arrivals(mixin)
    assert await found.find(CHAIN, "0xab", TOKEN) == Arrival(
        "snapshot-2", 15 * 10**17, NOW.now_ns() // 10**6 + 2_000
    )
    asked = mixin.questions
    assert await found.find(CHAIN, "0xAB", TOKEN) is not None
    assert mixin.questions == asked
    assert await found.find(CHAIN, "0xcd", TOKEN) is None


async def test_what_has_not_arrived_is_looked_for_again() -> None:
    """Only what is new is read."""
    mixin = ToldSnapshots(*(snapshot(number, f"0x{number}") for number in range(450)))
    found = arrivals(mixin)
    assert await found.find(CHAIN, "0xnew", TOKEN) is None
    mixin.found.append(snapshot(451, "0xnew"))
    mixin.questions = 0
    assert await found.find(CHAIN, "0xnew", TOKEN) is not None
    assert mixin.questions == 1


async def test_another_asset_of_the_same_transaction_is_not_it() -> None:
    """Somebody may send a strange token along."""
    mixin = ToldSnapshots(snapshot(1, "0xab", asset="c6d0c728-2624-429b-8e0d-d9d19b6592fa"))
    assert await arrivals(mixin).find(CHAIN, "0xab", TOKEN) is None
    assert await arrivals(mixin).find(CHAIN, "0xab", "0x" + "99" * 20) is None


async def test_a_token_of_fewer_digits_is_counted_exactly() -> None:
    """6 digits of the token are the first 6 of Mixin's 8."""
    chain = ChainSettings(
        name="fake",
        chain_id=CHAIN,
        urls=["http://127.0.0.1:1"],
        tokens=[TokenSettings(code="HMT", address=TOKEN, decimals=6)],
    )
    arrival = await arrivals(ToldSnapshots(snapshot(1, "0xab")), partners(chains=[chain])).find(
        CHAIN, "0xab", TOKEN
    )
    assert arrival is not None
    assert arrival.units == 1_500_000


async def test_silence_is_no_answer() -> None:
    """It may have arrived or not."""
    mixin = ToldSnapshots()
    mixin.is_down = True
    with pytest.raises(PartnerUnclearError, match="no answer"):
        await arrivals(mixin).find(CHAIN, "0xab", TOKEN)
