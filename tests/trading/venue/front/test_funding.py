"""Money from outside: credits and debits of accounts, once per id, told, kept, and guarded by a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

from front_desk import BEST_BID, START_NS, Desk, RawClient, StartVenue
from mrmarket.core.clock import ManualClock
from mrmarket.core.side import Side
from mrmarket.store.errors import DatabaseFullError
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.gateway import Gateway, NoLog
from mrmarket.trading.venue.front.latency import Latency, LatencyConfig
from mrmarket.trading.venue.front.rest import Rest
from mrmarket.trading.venue.front.rest_funding import FUNDING
from mrmarket.trading.venue.front.server import VenueServer
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing
from mrmarket.trading.venue.front.user_stream import UserStreams
from mrmarket.trading.venue.simulated.records import Publication

KEY = ApiKey(account="alice", key="a" * 64, secret="b" * 64)
TOKEN = "f" * 64
CREDIT: dict[str, Any] = {"transferId": "t-1", "account": "alice", "asset": "USDT", "amount": "12.5"}


class Treasury:
    """The funding calls over a desk without sockets."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        ring = KeyRing([KEY], TOKEN)
        self.rest = Rest(desk.gateway, ring, Latency(LatencyConfig()), dict(FUNDING))

    def call(self, what: str, /, token: str = TOKEN, **fields: Any) -> tuple[int, Any]:
        """(status, body) of a call."""
        method = "GET" if what == "transfer" else "POST"
        answer = self.rest.answer(
            method, f"/sim/v1/{what}", query=urlencode(fields), body="", header=token, address="127.0.0.1"
        )
        return int(answer.status), msgspec.json.decode(answer.body)

    def free(self, asset: str, account: str = "alice") -> int:
        """Free units of an account."""
        return self.desk.gateway.exchange.balances(account).get(asset, (0, 0))[0]


@pytest.fixture
def treasury(desk: Desk) -> Treasury:
    """Funding calls over the quiet market."""
    return Treasury(desk)


def test_a_credit_comes_once_however_often_it_is_asked_for(treasury: Treasury) -> None:
    """The second answer is the first one's, and the balance rises once."""
    before = treasury.free("USDT")
    first = treasury.call("credit", **CREDIT)
    assert first == (200, {**CREDIT, "amount": "12.50000000", "time": START_NS // 1_000_000})
    treasury.desk.clock.advance(5_000_000_000)
    assert treasury.call("credit", **CREDIT) == first
    assert treasury.free("USDT") == before + 1_250_000_000
    assert treasury.call("transfer", transferId="t-1") == first


def test_a_debit_takes_only_what_is_free(treasury: Treasury) -> None:
    """What orders hold cannot leave; a refusal moves nothing and its id may be used again."""
    total = treasury.free("USDT")
    treasury.desk.place("alice", Side.BUY, BEST_BID - 100, 1_000_000)
    free = treasury.free("USDT")
    assert free < total
    wanted = {**CREDIT, "amount": f"{free // 10**8 + 1}"}
    status, body = treasury.call("debit", **wanted)
    assert (status, body["code"]) == (400, -2010)
    assert treasury.free("USDT") == free
    assert treasury.call("transfer", transferId="t-1")[1]["code"] == -9003
    assert treasury.call("debit", **CREDIT)[1]["amount"] == "-12.50000000"
    assert treasury.free("USDT") == free - 1_250_000_000


@pytest.mark.parametrize("change", [{"amount": "12.4"}, {"account": "bob"}, {"asset": "BTC"}])
def test_an_id_is_one_transfer_for_ever(treasury: Treasury, change: dict[str, str]) -> None:
    """The same id with other content, or the other way round, is refused and moves nothing."""
    treasury.call("credit", **CREDIT)
    exchange = treasury.desk.gateway.exchange
    before = {name: exchange.balances(name) for name in ("alice", "bob")}
    status, body = treasury.call("credit", **{**CREDIT, **change})
    assert (status, body["code"]) == (400, -9002)
    assert treasury.call("debit", **CREDIT)[1]["code"] == -9002
    assert {name: exchange.balances(name) for name in ("alice", "bob")} == before


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "0"}, 400, -1130),
        ({"amount": ""}, 400, -1102),
        ({"amount": "-1"}, 400, -1100),
        ({"amount": "1e3"}, 400, -1100),
        ({"amount": "1.000000001"}, 400, -1111),
        ({"asset": "DOGE"}, 400, -9001),
        ({"asset": "usdt"}, 400, -1100),
        ({"account": "carol"}, 400, -2015),
        ({"transferId": ""}, 400, -1102),
        ({"transferId": "x" * 81}, 400, -1100),
        ({"more": "1"}, 400, -1104),
    ],
)
def test_what_is_no_transfer_is_refused_whole(
    treasury: Treasury, change: dict[str, str], status: int, code: int
) -> None:
    """Each with the venue's own number, and no balance moves."""
    before = treasury.desk.gateway.exchange.balances("alice")
    refused = treasury.call("credit", **{**CREDIT, **change})
    assert (refused[0], refused[1]["code"]) == (status, code)
    assert treasury.desk.gateway.exchange.balances("alice") == before
    assert treasury.desk.gateway.exchange.ledger.transfers == {}


@pytest.mark.parametrize("token", ["", KEY.key, "F" * 64, TOKEN[:-1]])
def test_only_the_funding_token_opens_the_till(treasury: Treasury, token: str) -> None:
    """An account's own key does not, and without a token set nobody's does."""
    assert treasury.call("credit", token=token, **CREDIT)[0] == 401
    closed = Rest(treasury.desk.gateway, KeyRing([KEY]), Latency(LatencyConfig()), dict(FUNDING))
    answer = closed.answer(
        "POST", "/sim/v1/credit", query=urlencode(CREDIT), body="", header="", address="127.0.0.1"
    )
    assert answer.status == 401
    assert treasury.desk.gateway.exchange.ledger.transfers == {}


def test_the_account_is_told_what_came_and_what_it_has(treasury: Treasury) -> None:
    """`balanceUpdate` with the change, then `outboundAccountPosition` with the whole balance."""
    told: list[dict[str, Any]] = []

    class Ear:
        """A subscriber."""

        def send_event(self, subscription_id: int, event: dict[str, Any]) -> None:
            """Keep it."""
            told.append(event)

    UserStreams(treasury.desk.gateway).subscribe("alice", Ear(), 0)
    treasury.call("debit", **CREDIT)
    treasury.call("credit", **{**CREDIT, "transferId": "t-2", "account": "bob"})
    at_ms = START_NS // 1_000_000
    assert told == [
        {"e": "balanceUpdate", "E": at_ms, "a": "USDT", "d": "-12.50000000", "T": at_ms},
        {
            "e": "outboundAccountPosition",
            "E": at_ms,
            "u": at_ms,
            "B": [{"a": "USDT", "f": "999987.50000000", "l": "0.00000000"}],
        },
    ]


def test_transfers_and_the_token_survive_a_kill(tmp_path: Path, quiet_tape: Path) -> None:
    """A journalled credit is there again, from the journal and from a full state, and is not made twice."""
    config = VenueConfig(tapes=[str(quiet_tape)], state_dir=str(tmp_path), accounts={"alice": {}})
    first = VenueServer(config, ManualClock(START_NS))
    first._step()
    before = first.gateway.exchange.balances("alice")["USDT"]
    made = first.gateway.transfer("t-1", "alice", "USDT", 500)
    token = first.funding_token
    first._memory.close()  # only the lock is let go, as when the process dies
    for _ in range(2):
        again = VenueServer(config, ManualClock(START_NS))
        again._step()
        assert again.funding_token == token
        assert again.gateway.transfer("t-1", "alice", "USDT", 500) == made
        assert again.gateway.exchange.balances("alice")["USDT"] == (before[0] + 500, 0)
        again._memory.close()
    assert (tmp_path / "funding.token").stat().st_mode & 0o077 == 0


class FullDisk(NoLog):
    """A journal that takes nothing."""

    def write(self, publications: list[Publication]) -> None:
        """Refuse."""
        raise DatabaseFullError(Path("venue.journal"))


def test_a_transfer_that_was_not_written_is_not_promised(desk: Desk) -> None:
    """After a failed write the same id fails too, although memory has it."""
    gateway = Gateway(desk.gateway.exchange, desk.clock, desk.gateway.meters, desk.faults, FullDisk())
    for _ in range(2):
        with pytest.raises(DatabaseFullError):
            gateway.transfer("t-1", "alice", "USDT", 500)


async def test_the_running_venue_announces_its_token(start_venue: StartVenue) -> None:
    """The token that a venue announces credits an account over HTTP; a signed key does not."""
    venue = await start_venue()
    async with aiohttp.ClientSession() as session:
        alice = RawClient(venue, session, venue.keys[0])
        treasurer = RawClient(venue, session, ApiKey(account="", key=venue.funding_token, secret=""))
        assert (await alice.call("POST", "/sim/v1/credit", signed=False, **CREDIT))[0] == 401
        status, body, _ = await treasurer.call("POST", "/sim/v1/credit", **CREDIT)
        assert (status, body["asset"]) == (200, "USDT")
        account = (await alice.call("GET", "/api/v3/account", signed=True))[1]
        free = {entry["asset"]: entry["free"] for entry in account["balances"]}
        assert free["USDT"] == "1000012.50000000"
