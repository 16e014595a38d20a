"""Which rewards a name stands for, in books on both databases."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from campaigns.campaign_stage import CHAIN, HMT, START_MS, CampaignStage
from campaigns.conftest import empty_books
from cli.campaign_folder import PAYOUT_TX, TOKEN, Lived, take_part
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.partners.chains.payment import Payment, PaymentState
from mrmarket.services.partners.trace_ids import TraceTarget, UnknownTraceError, target_of
from mrmarket.services.partners.trace_withdrawals import allocations_withdrawn
from mrmarket.store.postgres import PostgresReader
from postgres_server import postgres, postgres_server

__all__ = ["empty_books", "postgres", "postgres_server"]

SWEEP_TX = "0x" + "77" * 32


class VaultOfOne:
    """A vault's file with one transfer."""

    def __init__(self, key: str) -> None:
        self._key = key

    def payment(self, key: str) -> Payment | None:
        """The one."""
        if key != self._key:
            return None
        return Payment(
            key=key, chain_id=CHAIN, account="0xwe", nonce=0, token=TOKEN, destination="0xto", units=1,
            gas=1, state=PaymentState.FINAL, created_ms=START_MS, changed_ms=START_MS, tx_hash=SWEEP_TX,
        )  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
async def told(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[CampaignStage, Lived]]:
    """Books of an instance that took part in a campaign."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_books"), tmp_path / "money.db")
        stage = CampaignStage.on_file(tmp_path)
    else:
        address: str = request.getfixturevalue("postgres")
        stage = CampaignStage(PostgresStore.open(address, "test"), PostgresReader.open(address))
    yield stage, await take_part(tmp_path, stage)
    stage.close()


async def test_every_name_finds_its_rewards(told: tuple[CampaignStage, Lived]) -> None:
    """From both ends and the middle; a sweep by its transaction needs the vault's file."""
    stage, lived = told
    vault = VaultOfOne(lived.sweep)

    def target(name: str) -> TraceTarget:
        return stage.read(lambda sql: target_of(sql, name, vault))

    for name in (PAYOUT_TX, lived.sweep, SWEEP_TX, SWEEP_TX.removeprefix("0x").upper(), lived.run):
        assert (target(name).entries, target(name).account) == ((lived.entry,), None)
    for name, account in (
        (lived.delivery, "user:ann"),
        (lived.receipt, "user:ann"),
        (lived.withdrawal, "user:bob"),
        (f"{lived.run}:user:bob", "user:bob"),
    ):
        found = target(name)
        assert (found.entries, found.account) == ((lived.entry,), account)
        assert found.allocations == (f"{lived.run}:{account}",)
    (payout,) = [
        row[0] for row in stage.read(lambda sql: sql.rows("SELECT id FROM campaign_payouts WHERE cycle = 0"))
    ]
    assert target(payout).kind == "payout"
    with pytest.raises(UnknownTraceError):
        stage.read(lambda sql: target_of(sql, SWEEP_TX))


async def test_a_withdrawal_carries_what_was_credited_first(told: tuple[CampaignStage, Lived]) -> None:
    """Of one that paid for nothing of ours, and of a stranger's, there is none."""
    stage, lived = told
    found = stage.read(lambda sql: allocations_withdrawn(sql, "user:bob", HMT.id, lived.withdrawal))
    assert found == [f"{lived.run}:user:bob"]
    assert stage.read(lambda sql: allocations_withdrawn(sql, "user:bob", HMT.id, "another")) == []
    assert stage.read(lambda sql: allocations_withdrawn(sql, "user:eve", HMT.id, lived.withdrawal)) == []
    assert stage.read(lambda sql: RewardRepository(sql).entry_by_id(lived.entry)) is not None
