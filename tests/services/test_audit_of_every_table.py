"""Whatever is altered in whichever table of the money database, the check of a folder finds it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from campaigns.campaign_stage import offer
from money.payouts.payments_outside import OutsideRail
from money.pool.pool_house import ALICE, BOB, ONE, OTHER_WALLET, PATIENCE, WALLET, PoolHouse, plan
from money.sqlite_map import meaning_of
from mrmarket.campaigns.entity import discovered
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import seal_now
from mrmarket.money.ledger.verification import LedgerCheck
from mrmarket.money.payouts.incoming import IncomingPayments
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.port import PaymentState
from mrmarket.money.pool.deposit import CLAIM_KIND
from mrmarket.money.pool.history import ShareHistory
from mrmarket.money.pool.terms import LockTier, Terms
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.claims import CLAIM, reward_claimer, reward_memo, reward_releaser
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.receipts import register
from mrmarket.money.rewards.rows import Preference
from mrmarket.money.solvency.comparison import Place
from mrmarket.money.solvency.report import write_report
from mrmarket.money.solvency.repository import Observation
from mrmarket.money.solvency.watch import look, observe
from mrmarket.services.audit import verify_file
from mrmarket.store.errors import StoreError
from mrmarket.store.sql import Sql
from mrmarket.store.sqlite import connect

DAY_MS = 86_400_000
KEY = SealKey(bytes(32), bytes(32))
TERMS = Terms(
    deposit_fee_bps=10,
    management_fee_bps=200,
    performance_fee_bps=2_000,
    tiers=(LockTier(name="free", exit_fee_bps=50), LockTier(name="month", lock_days=30, weight_num=2)),
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database that has seen deposits, trades, fees, rewards, payouts, seals and incidents."""
    folder = tmp_path_factory.mktemp("lived")
    clock = ManualClock()
    rail = OutsideRail(clock)
    house = PoolHouse(folder, rail, clock, [plan(TERMS)])
    desk, writer, reader = house.treasury.desk, house.treasury.writer, house.treasury.reader
    rails, outbox = {"rail": rail}, Outbox()
    intake = Intake(
        rails,
        outbox,
        (desk.deposit_claimer, reward_claimer),
        {CLAIM_KIND: desk.deposit_releaser, CLAIM: reward_releaser},
        (desk.deposit_observer,),
    )
    rng = random.Random(7)  # noqa: S311 - spreads pauses, guards nothing
    house.incoming = IncomingPayments(writer, reader, rails, intake, PATIENCE, rng.random)
    house.found()
    desk.add_member("main", ALICE)
    desk.accrue_fees("main")
    house.enter(1_000 * ONE, ALICE)
    house.trade("t1", Side.BUY, "0.1", "5900", "0.5")
    house.price("66000", "66010")
    house.do(lambda draft: register(draft, Campaign("hufi", "main", house.now_ms, house.now_ms + DAY_MS)))
    house.pass_time(43_200)
    house.enter(1_000 * ONE, BOB, tier="month")
    house.pass_time(43_260)
    desk.accrue_fees("main")
    for name, memo in (("gift", "reward:hufi:0"), ("stray", reward_memo("hufi", 7))):
        rail.tell(name, 600 * ONE, PaymentState.CONFIRMED, code="USDT", sender=WALLET, memo=memo)
    house.round()
    distributor = Distributor(writer, outbox, lambda asset: asset.partition(":")[0])
    house.do(lambda draft: distributor.prefer(draft, Preference(BOB, "rail:USDT", OTHER_WALLET, "", 1, 0)))
    Allocator(writer, reader, Sources((LpShare(ShareHistory()),))).allocate_due()
    distributor.step()
    house.price("66000")
    house.leave(100 * 10**18)
    house.price("66000")
    house.settle_down()
    house.do(lambda draft: outbox.block(draft, "HMT", "the owner said so"))
    house.do(lambda draft: discover(draft.sql, house.now_ms))
    seal_now(reader, writer, KEY, clock)
    words = [Observation("rail", "USDT", 1, 8, house.now_ms)]
    house.do(lambda draft: observe(draft, words))
    lines = house.do(lambda draft: look(draft, {"rail": Place("rail", 1_000)})).lines
    house.do(lambda draft: write_report(draft, KEY, lines))
    house.close()
    rail.close()
    connection = connect(folder / "money.db")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    check = verify_file(folder / "money.db")
    assert check.ok, check.reason
    return folder / "money.db"


def discover(sql: Sql, now_ms: int) -> None:
    """A partner's campaign is found."""
    CampaignRepository(sql).put(discovered(offer(), "0xwe", "mexc", now_ms), "discovered", now_ms)


def rows_of(path: Path) -> dict[str, list[str]]:
    """Columns of every table that has rows, by name."""
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {
        name: [column[1] for column in connection.execute(f"PRAGMA table_info({name})")]
        for (name,) in names
        if connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - from the catalogue
    }
    connection.close()
    return found


def altered(value: Any) -> Any:
    """Another value of the same kind."""
    if value is None:
        return 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    if isinstance(value, int):
        return value + 1
    if not value:
        return "x"
    last = value[-1]
    return value[:-1] + ("2" if last == "1" else "1")


def test_an_altered_value_in_any_column_is_found(lived: Path, tmp_path: Path) -> None:
    """Every table, every column, the first row: nobody has to be trusted with any of them."""
    copy = tmp_path / "money.db"
    missed = []
    for table, columns in rows_of(lived).items():
        for column in columns:
            shutil.copy(lived, copy)
            connection = sqlite3.connect(copy)
            guards = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in guards:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
            chosen = ", ".join([column, *keys])
            value, *place = connection.execute(f"SELECT {chosen} FROM {table} LIMIT 1").fetchone()  # noqa: S608 - from the catalogue
            where = " AND ".join(f"{key} IS ?" for key in keys) or "1"
            try:
                change = f"UPDATE {table} SET {column} = ? WHERE {where}"  # noqa: S608 - from the catalogue
                connection.execute(change, (altered(value), *place))
            except sqlite3.IntegrityError:
                continue  # the table itself refuses it: another type, or a key that is taken
            finally:
                for _, sql in guards:
                    connection.execute(sql)
                connection.commit()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()
            if (found := checked(copy)) is not None and found.ok:
                missed.append(f"{table}.{column}")
    assert missed == []


def test_the_life_touches_the_tables_of_every_room(lived: Path) -> None:
    """Most of the tables that the program makes have rows here, so that the test above says something."""
    found = rows_of(lived)
    connection = sqlite3.connect(f"file:{lived}?immutable=1", uri=True)
    (every,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()
    connection.close()
    assert len(found) >= every * 3 // 4
    assert found.keys() >= {"payouts", "payments", "seals", "solvency_incidents", "solvency_reports", "marks"}


@pytest.mark.parametrize("shard", range(4))
def test_a_flipped_bit_in_any_table_is_found(lived: Path, tmp_path: Path, shard: int) -> None:
    """Two bits of each table's and index's records and structure, at random in every shard."""
    data = lived.read_bytes()
    places: dict[tuple[str, str], list[int]] = {}
    for place, meaning in meaning_of(lived).items():
        places.setdefault((meaning.owner, meaning.part), []).append(place)
    rng = random.Random(shard)  # noqa: S311 - a seed reproduces the run
    for name, whole in sorted(places.items()):
        for place in rng.sample(whole, min(2, len(whole))):
            flipped = bytearray(data)
            bit = rng.randrange(8)
            flipped[place] ^= 1 << bit
            (tmp_path / "money.db").write_bytes(flipped)
            check = checked(tmp_path / "money.db")
            assert check is None or not check.ok, (name, place, bit)


def checked(path: Path) -> LedgerCheck | None:
    """What a check says; None where the file is refused before it."""
    try:
        return verify_file(path)
    except StoreError:
        return None
