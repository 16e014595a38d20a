"""The API over the real business core: nobody meets another's money, and bad input leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from mrmarket.money.rewards.campaign import Campaign
from mrmarket.services.access.buckets import Rate
from mrmarket.services.access.settings import AccessSettings, Rates
from services.doors import Door, sign_in
from services.money.counter_house import WHOLE, CounterHouse

UNHURRIED = Rates(Rate(1e6, 10**6), Rate(1e6, 10**6), Rate(1e6, 10**6))
WALLET = "0x" + "ab" * 20
READS = (
    "me/positions",
    "me/portfolio?start_ms=0",
    "me/earnings",
    "me/rewards",
    "me/trades",
    "me/deposits",
    "me/withdrawals",
    "me/statement",
    "me/statement.csv",
    "me/ledger?limit=1000",
    "me/proof",
)


class Person:
    """Somebody of the demo with a browser of their own."""

    def __init__(self, browser: TestClient[Any], name: str) -> None:
        self.name = name
        self._browser = browser
        self._headers = sign_in(browser, name)

    def get(self, path: str) -> Any:
        """Read."""
        return self._browser.get(f"/api/v1/{path}")

    def post(self, path: str, body: object = None) -> Any:
        """Change."""
        return self._browser.post(f"/api/v1/{path}", json=body, headers=self._headers)


@pytest.fixture
def door(house: CounterHouse) -> Door:
    """The API in front of the house."""
    return Door(AccessSettings(demo=True, open_desk=True, rates=UNHURRIED), house.office)


@pytest.fixture
def alice(door: Door) -> Iterator[Person]:
    """One of the founders."""
    with door.client() as browser:
        yield Person(browser, "alice")


@pytest.fixture
def bob(door: Door) -> Iterator[Person]:
    """The other."""
    with door.client() as browser:
        yield Person(browser, "bob")


async def _busy(house: CounterHouse, alice: Person) -> dict[str, str]:
    """Alice has deposited, is about to leave, and wants to deposit more; the ids of it all."""
    house.offices.world.venues.clear()
    asked = {"pool": "main", "asset": "USDT", "amount": "500", "key": "one"}
    minted = alice.post("me/deposits", asked).json()
    house.rail.tell("p1", 500 * WHOLE, memo=minted["pay"]["memo"])
    await house.live(4)
    leaving = {"pool": "main", "shares": "200", "destination": WALLET, "key": "two"}
    left = alice.post("me/withdrawals", leaving).json()
    waiting = alice.post("me/deposits", {**asked, "key": "three"}).json()
    house.watch.seal()
    return {"minted": minted["id"], "withdrawal": left["id"], "waiting": waiting["id"]}


async def test_nobody_meets_the_rows_of_another(house: CounterHouse, alice: Person, bob: Person) -> None:
    """By id they are not there, in lists they are left out, and nothing can be done to them."""
    ids = await _busy(house, alice)
    for person, status in ((bob, 404), (alice, 200)):
        for path in (f"me/deposits/{ids['minted']}", f"me/withdrawals/{ids['withdrawal']}"):
            assert person.get(path).status_code == status, path
    for path in (
        f"me/deposits/{ids['waiting']}/cancel",
        f"me/deposits/{ids['waiting']}/pay",
        f"me/withdrawals/{ids['withdrawal']}/cancel",
    ):
        refused = bob.post(path)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), path
    assert alice.get(f"me/deposits/{ids['waiting']}").json()["state"] == "waiting"
    assert alice.get(f"me/withdrawals/{ids['withdrawal']}").json()["state"] != "cancelled"


async def test_no_answer_names_anybody_else(house: CounterHouse, alice: Person, bob: Person) -> None:
    """Whatever Bob reads of his own: Alice's name, wallet and ids are nowhere in it."""
    ids = await _busy(house, alice)
    for path in READS:
        answer = bob.get(path)
        assert answer.status_code == 200, (path, answer.text)
        for secret in ("alice", WALLET, *ids.values()):
            assert secret not in answer.text, (path, secret)
    assert json.loads(bob.get("me/deposits").text) == []
    mine = {group["seq"] for group in alice.get("me/ledger?limit=1000").json()}
    common = {group["seq"] for group in bob.get("me/ledger?limit=1000").json()}
    assert mine - common
    for seq in mine - common:
        assert bob.get(f"me/ledger/{seq}").status_code == 404


async def test_nobody_follows_the_reward_of_another(house: CounterHouse, alice: Person, bob: Person) -> None:
    """Each has half of it, each can follow their own half to the unit, and only that."""
    start_ms = house.now_ms
    house.reward(Campaign("camp", "main", start_ms, start_ms + 60_000, cycle_ms=10_000))
    await house.live(16)
    (day,) = alice.get("me/rewards").json()["days"]
    (his,) = bob.get("me/rewards").json()["days"]
    assert (day["amount"], his["amount"]) == ("0.0000005", "0.0000005")
    assert alice.get(f"me/rewards/{day['allocation']}").json()["amount"] == day["amount"]
    refused = bob.get(f"me/rewards/{day['allocation']}")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


AMOUNTS = [
    "1e3",
    "0x10",
    "-5",
    "+5",
    "",
    " 5",
    "5 ",
    "1,000",
    "NaN",
    "Infinity",
    "٣",
    "0.000000001",
    "0",
    "5.",
]
BAD_DEPOSITS: list[tuple[dict[str, Any], int]] = [
    *(({"amount": amount}, 400) for amount in [*AMOUNTS, "9" * 60]),
    ({"amount": 5}, 400),
    ({"amount": 5.5}, 400),
    ({"amount": None}, 400),
    ({"amount": "9.99"}, 409),
    ({"asset": "DOGE"}, 400),
    ({"asset": "simulated:USDT"}, 400),
    ({"asset": "pool:main"}, 400),
    ({"asset": ""}, 400),
    ({"pool": "nobodys"}, 409),
    ({"tier": "for ever"}, 409),
    ({"terms_version": 7}, 409),
    ({"account": "user:bob"}, 400),
]
BAD_WITHDRAWALS: list[tuple[dict[str, Any], int]] = [
    *(({"shares": amount}, 400) for amount in AMOUNTS if amount != "0.000000001"),
    ({"shares": "0.0000000000000000001"}, 400),
    ({"shares": 1.5}, 400),
    ({"shares": "ALL"}, 400),
    ({"shares": "1000000000"}, 409),
    ({"pool": "nobodys"}, 409),
    ({"destination": "venue:main"}, 400),
    ({"destination": "0x12"}, 400),
    ({"destination": "bob"}, 400),
    ({"account": "user:bob"}, 400),
]
BAD_PAYMENTS: list[tuple[dict[str, Any], int]] = [
    *(({"amount": amount}, 400) for amount in AMOUNTS),
    ({"amount": 1}, 400),
    ({"amount": "1"}, 409),
    ({"asset": "simulated:USDT"}, 400),
    ({"asset": "pool:main"}, 400),
    ({"destination": "venue:main"}, 400),
]
DEPOSIT = {"pool": "main", "asset": "USDT", "amount": "500"}
WITHDRAWAL = {"pool": "main", "shares": "5", "destination": WALLET}
PAYMENT = {"asset": "USDT", "amount": "0.00000001", "destination": WALLET}


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("me/deposits", DEPOSIT, BAD_DEPOSITS),
        ("me/withdrawals", WITHDRAWAL, BAD_WITHDRAWALS),
        ("me/balances/withdraw", PAYMENT, BAD_PAYMENTS),
    ],
)
def test_bad_input_is_refused_with_a_code_and_a_sentence_and_nothing_is_done(
    house: CounterHouse,
    alice: Person,
    path: str,
    good: dict[str, Any],
    bad: list[tuple[dict[str, Any], int]],
) -> None:
    """No amount is rounded or guessed; refused requests leave books, intents and requests as they were."""
    before = _everything(house)
    for change, status in bad:
        answer = alice.post(path, {**good, **change})
        assert answer.status_code == status, (change, answer.text)
        problem = answer.json()
        assert problem["code"], change
        assert len(problem["message"]) > 10, change
        assert "Traceback" not in answer.text
        assert _everything(house) == before, change


def test_previews_refuse_the_same_and_change_nothing(house: CounterHouse, alice: Person) -> None:
    """What a request would be refused for by its form, its preview is refused for too."""
    before = _everything(house)
    for amount in AMOUNTS:
        answer = alice.post("me/deposits/preview", {**DEPOSIT, "amount": amount})
        # Nothing at all is a number; what is wrong with it is what a preview is there to say.
        assert answer.status_code == 400 or (amount == "0" and "least deposit" in answer.text), amount
    assert alice.post("me/withdrawals/preview", {**WITHDRAWAL, "shares": "1e3"}).status_code == 400
    assert alice.post("me/deposits/preview", DEPOSIT).json()["refusal"] is None
    assert _everything(house) == before


def test_a_key_is_one_request(house: CounterHouse, alice: Person, bob: Person) -> None:
    """Repeated it is the same answer, with other content a conflict; another's key is another request."""
    first = alice.post("me/deposits", {**DEPOSIT, "key": "k"}).json()
    assert alice.post("me/deposits", {**DEPOSIT, "key": "k"}).json()["id"] == first["id"]
    other = alice.post("me/deposits", {**DEPOSIT, "amount": "501", "key": "k"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert bob.post("me/deposits", {**DEPOSIT, "key": "k"}).json()["id"] != first["id"]


def _everything(house: CounterHouse) -> list[Any]:
    """How much there is of everything that a request could leave behind."""
    tables = ("groups", "transfers", "holds", "pool_deposits", "pool_withdrawals", "payouts", "accounts")
    with house.offices.treasury.reader.snapshot() as sql:
        counts = [sql.rows(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608 - our own names
        return [*counts, sql.rows("SELECT account, asset, units FROM balances ORDER BY account, asset")]
