"""An instance whose books are all on PostgreSQL: a newcomer's story, a crash of the server, a restart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from e2e.money_people import Person
from e2e.running import OWNER_PASSWORD, RunningInstance, command, owner_cookie, start_instance, wait_until
from mrmarket.services.store_address import StoreAddress
from postgres_server import PostgresServer, postgres_server, url_of

__all__ = ["postgres_server"]
pytestmark = pytest.mark.e2e

SECRET = "s3cr3t-in-the-url"
CONFIG = """
[rewards]
demo_cycle_s = 5
"""


@dataclass
class House:
    """A database, and the instance that uses it."""

    server: PostgresServer
    url: str
    instance: RunningInstance

    def run(self, *arguments: str) -> Any:
        """What a command prints about the books, as JSON."""
        line = command(*arguments, "--data", str(self.instance.data), "--json")
        return json.loads(subprocess.run(line, check=True, capture_output=True).stdout)


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The demo with quick cycles on a database of its own, named by the environment."""
    folder = tmp_path_factory.mktemp("postgres-story")
    (folder / "config.toml").write_text(CONFIG)
    with postgres_server.database() as address, pytest.MonkeyPatch.context() as patch:
        # The password is not asked for, so that any will do; it must not be seen anywhere.
        url = url_of(address).replace("@/", f":{SECRET}@/", 1)
        patch.setenv("MRMARKET_STORE", url)
        instance = start_instance(folder / "data", "--config", str(folder / "config.toml"))
        house = House(postgres_server, url, instance)
        yield house
        if house.instance.process.poll() is None:
            assert house.instance.interrupt() == 0


@pytest.fixture(scope="module")
def alice(house: House) -> Person:
    """Somebody with shares of the pool."""
    alice = Person(house.instance.url, "alice")
    alice.post("me/wallet/fund")
    buy(alice, "500", "first")
    return alice


def buy(person: Person, amount: str, key: str) -> dict[str, Any]:
    """Deposit and wait for the shares."""
    ask = {"pool": "main", "asset": "USDT", "amount": amount, "key": key}
    deposit = patiently(lambda: person.post("me/deposits", ask))
    patiently(lambda: person.post(f"me/deposits/{deposit['id']}/pay"))
    seen: list[Any] = []

    def is_minted() -> bool:
        seen.append(patiently(lambda: person.get(f"me/deposits/{deposit['id']}")))
        return bool(seen[-1]["state"] == "minted")

    wait_until(is_minted)
    return dict(seen[-1])


def patiently(ask: Callable[[], Any]) -> Any:
    """The API's answer; where it says 503, which means to ask again, ask again."""
    answers: list[Any] = []

    def has_answered() -> bool:
        try:
            answers.append(ask())
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        return bool(answers)

    wait_until(has_answered)
    return answers[0]


def test_nothing_but_keys_and_logs_is_in_the_folder(house: House) -> None:
    """The three databases are the server's; no SQLite file of theirs is made."""
    assert not list(house.instance.data.glob("*.db"))
    assert (house.instance.data / "mrmarket.log").is_file()


def test_a_reward_and_a_withdrawal_reach_their_owner(house: House, alice: Person) -> None:
    """Deposit, reward, withdrawal, proof: the whole way of money on PostgreSQL."""
    alice.until("me/rewards", lambda seen: any(day["state"] == "credited" for day in seen["days"]))
    leaving = alice.post("me/withdrawals", {"pool": "main", "shares": "100", "key": "leaving"})
    paid = alice.until(f"me/withdrawals/{leaving['id']}", lambda seen: seen["state"] == "confirmed")
    assert [step["state"] for step in paid["steps"]] == ["done"] * 4
    house.run("ledger", "seal")
    assert house.run("ledger", "prove", "alice")["account"] == "user:alice"


def test_commands_read_the_books_on_the_server(house: House, alice: Person) -> None:
    """Verification, statements and reconciliation see what the instance sees."""
    assert house.run("ledger", "verify")["ok"]
    printed = house.run("user", "statement", "alice")
    closing = {each["asset"]: Decimal(each["closing"]) for each in printed["assets"]}
    shown = alice.get("me/positions")["positions"][0]["shares"]
    assert closing["pool:main"] == Decimal(shown)
    assert "runs" in house.run("rewards", "show")
    checks = {each["check"]: each["result"] for each in house.run("doctor")["findings"]}
    assert checks["ledger"] == "ok"


def test_the_owner_signs_in_with_a_password_that_a_command_has_set(house: House) -> None:
    """Credentials and sessions are on the server too, and news of them reach the running instance."""
    house.instance.set_password()
    name, value = owner_cookie(house.instance.url)
    assert name
    assert OWNER_PASSWORD not in value


def test_a_crash_of_the_server_is_survived(house: House, alice: Person) -> None:
    """The server goes down as in a power cut and comes back: the instance trades on and takes deposits."""
    before = Decimal(alice.get("me/positions")["positions"][0]["shares"])
    house.server.restart()
    minted = buy(alice, "200", "after the crash")
    after = Decimal(alice.get("me/positions")["positions"][0]["shares"])
    assert after - before == Decimal(minted["shares"])
    wait_until(lambda: house.instance.remote.status().state == "running")
    assert house.run("ledger", "verify")["ok"]


def test_a_killed_instance_takes_up_where_it_was(house: House, alice: Person) -> None:
    """Kill -9, start again on the same database: the log continues and no order is left over."""
    before = Decimal(alice.get("me/positions")["positions"][0]["shares"])
    house.instance.kill()
    data = house.instance.data
    house.instance = start_instance(data, "--config", str(data.parent / "config.toml"))
    again = Person(house.instance.url, "alice")
    assert Decimal(again.get("me/positions")["positions"][0]["shares"]) >= before
    assert house.instance.interrupt() == 0
    store = StoreAddress(data, house.url).open_trading()
    try:
        (stream,) = store.streams()
        assert store.verify_log().ok
        assert store.open_intents(stream) == []
        lease = store.lease(stream)
        assert lease is not None
        assert (lease.fence >= 2, lease.expires_ns) == (True, 0)
    finally:
        store.close()
    assert house.run("ledger", "verify")["ok"]


def test_the_password_of_the_address_is_nowhere(house: House) -> None:
    """Not in the log, not in what the instance printed, not in the configuration that commands show."""
    folder: Path = house.instance.data
    for file in (*folder.rglob("*.log"), folder.with_name("data.log")):
        assert SECRET not in file.read_text(errors="replace")
    shown = subprocess.run(command("config", "show"), check=True, capture_output=True).stdout
    assert SECRET.encode() not in shown
