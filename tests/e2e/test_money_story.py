"""A newcomer deposits, earns, is paid a reward, withdraws, and checks the proof of each step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from e2e.money_people import Person
from e2e.running import RunningInstance, command, start_instance

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[rewards]
demo_cycle_s = 5

[[pools]]
name = "savings"
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """The demo with quick cycles and a second pool."""
    folder = tmp_path_factory.mktemp("story")
    config = folder / "config.toml"
    config.write_text(CONFIG)
    running = start_instance(folder / "data", "--config", str(config))
    yield running
    assert running.interrupt() == 0


@pytest.fixture(scope="module")
def story(instance: RunningInstance) -> dict[str, Any]:
    """What happened to alice, once, for every test that looks at it."""
    alice = Person(instance.url, "alice")
    alice.post("me/wallet/fund")
    preview = alice.post("me/deposits/preview", {"pool": "main", "asset": "USDT", "amount": "500"})
    ask = {"pool": "main", "asset": "USDT", "amount": "500", "tier": "30 days", "key": "first"}
    deposit = alice.post("me/deposits", ask)
    again = alice.post("me/deposits", ask)
    alice.post(f"me/deposits/{deposit['id']}/pay")
    minted = alice.until(f"me/deposits/{deposit['id']}", lambda seen: seen["state"] == "minted")
    rewards = alice.until("me/rewards", lambda seen: any(day["state"] == "credited" for day in seen["days"]))
    leaving = alice.post("me/withdrawals", {"pool": "main", "shares": "2000", "key": "leaving"})
    paid = alice.until(f"me/withdrawals/{leaving['id']}", lambda seen: seen["state"] == "confirmed")
    _run(instance, "ledger", "seal")
    return {
        "alice": alice,
        "preview": preview,
        "deposit": deposit,
        "again": again,
        "minted": minted,
        "rewards": rewards,
        "paid": paid,
    }


def test_a_deposit_becomes_shares_at_the_price_that_was_shown(story: dict[str, Any]) -> None:
    """Announced once however often it is asked, paid, confirmed, credited, minted; close to the preview."""
    minted = story["minted"]
    assert story["again"]["id"] == story["deposit"]["id"]
    assert [step["state"] for step in minted["steps"]] == ["done"] * 4
    assert Decimal(minted["shares"]) == pytest.approx(
        Decimal(story["preview"]["shares"]), rel=Decimal("0.01")
    )


def test_a_reward_is_shared_by_time_weighted_shares(instance: RunningInstance, story: dict[str, Any]) -> None:
    """The formula's own numbers give the amount, and the chain of steps ends in the ledger."""
    alice: Person = story["alice"]
    day = next(day for day in story["rewards"]["days"] if day["state"] == "credited")
    trace = alice.get(f"me/rewards/{day['allocation']}")
    share = Decimal(trace["own_weight"]) / Decimal(trace["total_weight"])
    # The last unit goes by the largest remainder.
    assert abs(Decimal(trace["pool_reward"]) * share - Decimal(trace["amount"])) < Decimal("1e-8")
    states = {step["name"]: step["state"] for step in trace["steps"]}
    assert states["deposit observed"] == states["entry"] == states["allocation"] == states["credit"] == "done"
    found = json.loads(_run(instance, "rewards", "replay", "--day", str(day["start_ms"]), "--json"))
    assert {run["state"] for run in found["runs"]} == {"holds"}


def test_a_withdrawal_reaches_the_wallet(story: dict[str, Any]) -> None:
    """Shares are burned, money comes back from the venue, and the wallet has it to the last digit."""
    paid = story["paid"]
    assert [step["state"] for step in paid["steps"]] == ["done"] * 4
    wallet = {each["asset"]: each["amount"] for each in story["alice"].get("me/wallet")["balances"]}
    assert Decimal(wallet["USDT"]) == Decimal(9_500) + Decimal(paid["amount"])


def test_a_user_sees_own_rows_only(instance: RunningInstance, story: dict[str, Any]) -> None:
    """Another user's ids are not found, and their names are masked in shared groups."""
    bob = Person(instance.url, "bob")
    for path in (
        f"me/deposits/{story['deposit']['id']}",
        f"me/withdrawals/{story['paid']['id']}",
        f"me/rewards/{story['rewards']['days'][0]['allocation']}",
    ):
        with pytest.raises(Exception, match="404"):
            bob.get(path)
    assert "alice" not in json.dumps(bob.get("me/ledger?limit=100"))
    assert "alice" not in json.dumps(bob.get("me/statement"))


def test_statement_and_positions_agree_with_the_ledger(
    instance: RunningInstance, story: dict[str, Any]
) -> None:
    """The running balances of the statement end where the positions say, on the page and the command line."""
    alice: Person = story["alice"]
    lines = alice.get("me/statement")
    ends: dict[str, Decimal] = {line["asset"]: Decimal(line["balance"]) for line in lines}
    positions = alice.get("me/positions")
    assert ends["pool:main"] == Decimal(positions["positions"][0]["shares"])
    printed = json.loads(_run(instance, "user", "statement", "alice", "--json"))
    closing = {each["asset"]: Decimal(each["closing"]) for each in printed["assets"]}
    assert closing["pool:main"] == ends["pool:main"]


def test_a_hash_can_be_recomputed_from_the_documented_format(story: dict[str, Any]) -> None:
    """The bytes of a group of one's own, after the previous hash, give its hash."""
    groups = story["alice"].get("me/ledger?limit=100")
    own = [group for group in groups if group["canonical"] is not None]
    assert own
    for group in own:
        body = bytes.fromhex(group["previous_hash"]) + group["canonical"].encode()
        assert sha256(body).hexdigest() == group["hash"]


def test_the_proof_is_checked_without_the_instance(
    instance: RunningInstance, story: dict[str, Any], tmp_path: Path
) -> None:
    """The API's proof holds for the command and for the stand-alone checker; a changed digit does not."""
    proof = story["alice"].get("me/proof")
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    assert json.loads(_run(instance, "ledger", "check-proof", str(file), "--json"))["ok"]
    alone = [sys.executable, str(ROOT / "tools" / "check_proof.py"), str(file)]
    assert subprocess.run(alone, check=False, capture_output=True).returncode == 0
    proof["claims"][0]["units"] = str(int(proof["claims"][0]["units"]) + 1)
    file.write_text(json.dumps(proof))
    assert subprocess.run(alone, check=False, capture_output=True).returncode == 1


def test_the_second_pool_takes_deposits(instance: RunningInstance) -> None:
    """Several pools live in one set of books; one that does not trade holds what it is given."""
    carol = Person(instance.url, "carol")
    carol.post("me/wallet/fund")
    ask = {"pool": "savings", "asset": "USDT", "amount": "100"}
    deposit = carol.post("me/deposits", ask)
    carol.post(f"me/deposits/{deposit['id']}/pay")
    carol.until(f"me/deposits/{deposit['id']}", lambda seen: seen["state"] == "minted")
    assert Decimal(Person(instance.url).get("pools/savings")["nav"]) == 100


def test_a_paused_pool_takes_nothing_until_resumed(instance: RunningInstance) -> None:
    """The owner pauses by command; the reason is told to whoever comes; resuming opens again."""
    bob = Person(instance.url, "bob")
    ask = {"pool": "main", "asset": "USDT", "amount": "50"}
    _run(instance, "pool", "pause", "main", "--what", "deposits", "--reason", "counting the till")
    assert "counting the till" in bob.post("me/deposits/preview", ask)["refusal"]
    assert bob.refusal("me/deposits", ask) == (409, "deposit_refused")
    _run(instance, "pool", "resume", "main")
    assert bob.post("me/deposits/preview", ask)["refusal"] is None


def test_bad_input_changes_nothing(instance: RunningInstance) -> None:
    """Floats, exponents, signs, too many digits, unknown pools and assets: refused with a stable code."""
    bob = Person(instance.url, "bob")
    before = bob.get("me/deposits")
    for amount in ("1e3", "-5", "+5", "0.123456789", "NaN", "", "١٢", "0"):
        status, code = bob.refusal("me/deposits", {"pool": "main", "asset": "USDT", "amount": amount})
        assert (status in {400, 409}, code != "internal") == (True, True), amount
    assert bob.refusal("me/deposits", {"pool": "main", "asset": "USDT", "amount": 5.0})[0] == 400
    assert bob.refusal("me/deposits", {"pool": "nowhere", "asset": "USDT", "amount": "5"})[0] in {
        400,
        404,
        409,
    }
    assert bob.refusal("me/deposits", {"pool": "main", "asset": "DOGE", "amount": "5"})[0] == 400
    assert bob.get("me/deposits") == before


def test_the_books_verify_and_add_up_while_it_runs(instance: RunningInstance, story: dict[str, Any]) -> None:
    """`ledger verify` and `reconcile` say yes beside the running instance; nothing is blocked."""
    assert json.loads(_run(instance, "ledger", "verify", "--json"))["ok"]
    assert json.loads(_run(instance, "reconcile", "--json"))["ok"]
    treasury = instance.remote.read("admin/treasury", dict)
    assert (treasury["solvent"], treasury["blocked"]) == (True, {})


def _run(instance: RunningInstance, *arguments: str) -> str:
    """A command beside the running instance; it must succeed."""
    extra = [] if "check-proof" in arguments else ["--data", str(instance.data)]
    done = subprocess.run(
        command(*arguments, *extra), check=False, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
