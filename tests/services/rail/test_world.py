"""The network's own rules, on a clock that stands still."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrmarket.services.rail.address import new_address
from mrmarket.services.rail.config import RailAsset, VenueLink
from mrmarket.services.rail.errors import (
    BadAmountError,
    BadDestinationError,
    BadMemoError,
    ConflictError,
    FaucetEmptyError,
    InsufficientFundsError,
    RailStateError,
    UnknownAssetError,
    UnknownCursorError,
    WorldRefusal,
)
from mrmarket.services.rail.faults import RailFaultKind
from mrmarket.services.rail.journal import Journal
from mrmarket.services.rail.payment import FAUCET, FEES, FLIGHT, Payment, Stage
from mrmarket.services.rail.world import World
from services.rail.rail_bench import SmallWorld, strike

LINK = VenueLink(url="http://127.0.0.1:1", token="t")
SOME = "0x" + "ab" * 20


def stages(small: SmallWorld, key: str, steps: int) -> list[tuple[Stage, int]]:
    """Stage and confirmations of a payment, every 100 ms."""
    seen = []
    for _ in range(steps):
        payment = small.journal.find(key)
        assert payment is not None
        seen.append((payment.stage, payment.confirmations))
        small.wait(100)
    return seen


def test_a_payment_is_accepted_seen_and_confirmed_in_time(small: SmallWorld) -> None:
    """The sender is short at once, the receiver has it in the end, and the feed tells each step."""
    sender = small.wallet(1_000)
    payment = small.world.pay(sender, "k", small.world.treasury, "USDT", 400, "m")
    assert (small.held(sender), small.held(FLIGHT), small.held(small.world.treasury)) == (600, 400, 0)
    assert stages(small, f"wallet:{sender}:k", 5) == [
        (Stage.ACCEPTED, 0),
        (Stage.SEEN, 0),
        (Stage.SEEN, 1),
        (Stage.CONFIRMED, 2),
        (Stage.CONFIRMED, 2),
    ]
    assert (small.held(FLIGHT), small.held(small.world.treasury)) == (0, 400)
    told, cursor = small.world.incoming("", 10)
    assert [(entry.state, entry.confirmations) for entry in told] == [
        ("seen", 0),
        ("seen", 1),
        ("confirmed", 2),
    ]
    assert {entry.payment.id for entry in told} == {payment.id}
    assert [entry.at_ms for entry in told] == sorted({entry.at_ms for entry in told})
    assert small.world.incoming(cursor, 10) == ([], cursor)


def test_what_happened_while_it_was_down_happens_at_the_start(small: SmallWorld) -> None:
    """Every due step is made up for in its order, and nothing is lost by the stop."""
    sender = small.wallet(1_000)
    small.world.pay(sender, "k", small.world.treasury, "USDT", 400, "m")
    small.clock.advance(3_600_000_000_000)
    small.reopen()
    assert small.world.advance() is None
    assert small.held(small.world.treasury) == 400
    assert [entry.confirmations for entry in small.world.incoming("", 10)[0]] == [0, 1, 2]


def test_the_treasury_address_is_drawn_once(small: SmallWorld, tmp_path: Path) -> None:
    """It stays over a restart; another one may not take over the folder, and a fresh folder draws anew."""
    address = small.world.treasury
    small.reopen()
    assert small.world.treasury == address
    assert SmallWorld(tmp_path / "other").world.treasury != address
    small.settings["treasury"] = SOME
    with pytest.raises(RailStateError, match="belongs to"):
        small.reopen()  # compares every balance with the payments it comes from
    small.journal.close()


def test_the_faucet_gives_so_much_a_day(small: SmallWorld) -> None:
    """The cap is per wallet and asset and within 24 hours; the same key is the same gift."""
    address = new_address()
    cap = small.world.assets["USDT"].faucet_units
    first = small.world.fund(address, "a", "USDT", cap)
    assert small.world.fund(address, "a", "USDT", cap) == first
    with pytest.raises(FaucetEmptyError, match="0 USDT more"):
        small.world.fund(address, "b", "USDT", 1)
    small.world.fund(address, "b", "BTC", 1)
    small.world.fund(new_address(), "b", "USDT", cap)
    small.clock.advance(86_400_000_000_000)
    small.world.fund(address, "c", "USDT", 1)
    assert small.held(address) == cap + 1
    assert small.held(FAUCET) == -2 * cap - 1


REFUSED: list[tuple[type[WorldRefusal], Callable[[World, str], Payment]]] = [
    (UnknownAssetError, lambda world, wallet: world.pay(wallet, "k", SOME, "DOGE", 1, "")),
    (UnknownAssetError, lambda world, wallet: world.fund(wallet, "k", "DOGE", 1)),
    (BadAmountError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", 0, "")),
    (BadAmountError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", -5, "")),
    (BadAmountError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", 10**38, "")),
    (BadAmountError, lambda world, wallet: world.fund(wallet, "k", "USDT", 0)),
    (BadMemoError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", 1, "x" * 257)),
    (BadMemoError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", 1, "a\nb")),
    (BadDestinationError, lambda world, wallet: world.pay(wallet, "k", wallet, "USDT", 1, "")),
    (BadDestinationError, lambda world, wallet: world.pay(wallet, "k", "venue:default", "USDT", 1, "")),
    (BadDestinationError, lambda world, wallet: world.pay(wallet, "k", "0x12", "USDT", 1, "")),
    (BadDestinationError, lambda world, _: world.pay(world.treasury, "k", SOME, "USDT", 1, "")),
    (BadDestinationError, lambda world, _: world.fund(world.treasury, "k", "USDT", 1)),
    (BadDestinationError, lambda world, _: world.fund("faucet", "k", "USDT", 1)),
    (InsufficientFundsError, lambda world, wallet: world.pay(wallet, "k", SOME, "USDT", 1_001, "")),
]


@pytest.mark.parametrize(("error", "ask"), REFUSED)
def test_a_wallets_bad_request_leaves_nothing_behind(
    small: SmallWorld, error: type[WorldRefusal], ask: Callable[[World, str], Payment]
) -> None:
    """Refused with its own code; the key stays free, no balance moves, no payment exists."""
    wallet = small.wallet(1_000)
    with pytest.raises(error):
        ask(small.world, wallet)
    assert len(small.world.history(wallet, 10)) == 1
    assert (small.held(wallet), small.held(FLIGHT), small.held(small.world.treasury)) == (1_000, 0, 0)
    assert small.world.pay(wallet, "k", SOME, "USDT", 1, "").stage is Stage.ACCEPTED


@pytest.mark.parametrize(
    ("destination", "asset", "units", "memo", "reason"),
    [
        (SOME, "DOGE", 1, "", "unknown_asset"),
        (SOME, "USDT", 0, "", "invalid_amount"),
        (SOME, "USDT", 1, "\x00", "invalid_memo"),
        ("bob", "USDT", 1, "", "invalid_destination"),
        ("venue:other", "USDT", 1, "", "invalid_destination"),
        (SOME, "USDT", 501, "", "insufficient_funds"),
    ],
)
def test_a_refused_send_is_refused_under_its_key_for_ever(
    small: SmallWorld, destination: str, asset: str, units: int, memo: str, reason: str
) -> None:
    """Even once it could be paid: whoever was told no has given the money back to its owner."""
    small.world.link_venue(LINK)
    small.fund_treasury(500)
    first = small.world.send("k", destination, asset, units, memo)
    assert (first.stage, first.reason.partition(":")[0]) == (Stage.REFUSED, reason)
    small.fund_treasury(1_000)
    assert small.world.send("k", destination, asset, units, memo) == first
    small.wait(1_000)
    assert small.held(small.world.treasury) == 1_500


def test_a_key_is_for_one_content(small: SmallWorld) -> None:
    """Other amounts, receivers or memos under it are refused; another wallet's key is another key."""
    wallet, other = small.wallet(), small.wallet()
    first = small.world.pay(wallet, "k", SOME, "USDT", 1, "")
    assert small.world.pay(wallet, "k", "0x" + "AB" * 20, "USDT", 1, "") == first
    for receiver, units, memo in ((other, 1, ""), (SOME, 2, ""), (SOME, 1, "m")):
        with pytest.raises(ConflictError):
            small.world.pay(wallet, "k", receiver, "USDT", units, memo)
    with pytest.raises(ConflictError):
        small.world.fund(wallet, "k", "USDT", 1)
    assert small.world.pay(other, "k", SOME, "USDT", 1, "").id != first.id


def test_the_sender_pays_the_fee(tmp_path: Path) -> None:
    """On top of the amount, kept apart, and given back with a refused payment."""
    assets = [RailAsset(code="USDT", fee="0.00000007", faucet_a_day="1")]
    small = SmallWorld(tmp_path / "rail", strike(RailFaultKind.REFUSE, match="send:*"), assets=assets)
    wallet = small.wallet(1_000)
    with pytest.raises(InsufficientFundsError):
        small.world.pay(wallet, "a", small.world.treasury, "USDT", 994, "")
    small.world.pay(wallet, "a", small.world.treasury, "USDT", 993, "")
    small.wait(1_000)
    assert (small.held(wallet), small.held(FEES), small.held(small.world.treasury)) == (0, 7, 993)
    sent = small.world.send("s", SOME, "USDT", 900, "")
    assert (sent.fee, small.held(small.world.treasury), small.held(FEES)) == (7, 86, 14)
    small.wait(1_000)
    assert (small.held(small.world.treasury), small.held(FEES), small.held(SOME)) == (993, 7, 0)
    refused = small.world.find("send:s")
    assert refused is not None
    assert refused.stage is Stage.REFUSED


def test_a_payment_that_vanishes_goes_back(tmp_path: Path) -> None:
    """Before its last confirmation: told as retracted, and the wallet has it again."""
    small = SmallWorld(tmp_path / "rail", strike(RailFaultKind.RETRACT))
    wallet = small.wallet(1_000)
    small.world.pay(wallet, "k", small.world.treasury, "USDT", 400, "")
    small.wait(1_000)
    assert [entry.state for entry in small.world.incoming("", 10)[0]] == ["seen", "seen", "retracted"]
    assert (small.held(wallet), small.held(small.world.treasury), small.held(FLIGHT)) == (1_000, 0, 0)


def test_a_confirmed_payment_can_vanish_while_it_is_there(tmp_path: Path) -> None:
    """The feed says confirmed and later retracted; what was spent meanwhile stays spent."""
    small = SmallWorld(tmp_path / "rail", strike(RailFaultKind.RETRACT_LATE, times=2, delay_ms=500))
    wallet = small.wallet(1_000)
    small.world.pay(wallet, "a", small.world.treasury, "USDT", 400, "")
    small.wait(400)
    assert small.held(small.world.treasury) == 400
    small.wait(1_000)
    assert [entry.state for entry in small.world.incoming("", 10)[0]][-2:] == ["confirmed", "retracted"]
    assert (small.held(wallet), small.held(small.world.treasury)) == (1_000, 0)
    small.world.pay(wallet, "b", small.world.treasury, "USDT", 400, "")
    small.wait(400)
    small.world.send("out", SOME, "USDT", 1, "")
    small.wait(2_000)
    assert small.world.incoming("", 20)[0][-1].state == "confirmed"
    assert (small.held(wallet), small.held(small.world.treasury), small.held(SOME)) == (600, 399, 1)


def test_a_stalled_payment_comes_later(tmp_path: Path) -> None:
    """Its next step waits as long as the fault says, and then it goes on."""
    small = SmallWorld(tmp_path / "rail", strike(RailFaultKind.STALL, times=1, delay_ms=2_000))
    wallet = small.wallet(1_000)
    small.world.pay(wallet, "k", small.world.treasury, "USDT", 400, "")
    small.wait(1_900)
    assert small.world.incoming("", 10) == ([], "")
    small.wait(1_000)
    assert small.held(small.world.treasury) == 400


def test_a_hidden_payment_is_found_once_it_is_old_enough(tmp_path: Path) -> None:
    """Never for longer than the settling time, and sending again under its key still finds it."""
    small = SmallWorld(tmp_path / "rail", strike(RailFaultKind.HIDE, delay_ms=9_999), settle_ms=300)
    small.fund_treasury(500)
    sent = small.world.send("k", SOME, "USDT", 5, "")
    assert small.world.find("send:k") is None
    assert small.world.send("k", SOME, "USDT", 5, "").id == sent.id
    small.wait(300)
    found = small.world.find("send:k")
    assert found is not None
    assert found.id == sent.id


def test_what_a_page_leaves_out_comes_later(tmp_path: Path) -> None:
    """A gap repeats the update behind the cursor; repeated and swapped ones are still all there."""
    rules = (
        strike(RailFaultKind.GAP, times=1),
        strike(RailFaultKind.DUPLICATE, times=1),
        strike(RailFaultKind.REORDER, times=1),
    )
    small = SmallWorld(tmp_path / "rail", *rules)
    small.fund_treasury(500)
    told, cursor = small.world.incoming("", 10)
    assert [entry.confirmations for entry in told] == [1, 2, 1]
    late, _ = small.world.incoming(cursor, 10)
    assert [entry.confirmations for entry in late] == [0]
    assert late[0].at_ms < told[0].at_ms


@pytest.mark.parametrize("cursor", ["x", "-1", "99", "1.0", "\N{SUPERSCRIPT TWO}", "9" * 30])
def test_a_cursor_that_was_never_given_is_refused(small: SmallWorld, cursor: str) -> None:
    """Nobody is told of an empty feed where there is one."""
    small.fund_treasury(500)
    with pytest.raises(UnknownCursorError):
        small.world.incoming(cursor, 10)


def test_a_withdrawal_waits_for_the_venue(small: SmallWorld) -> None:
    """Nothing moves before the venue agrees; then it comes in like any payment, with its memo."""
    small.world.link_venue(LINK)
    asked = small.world.withdraw("w", small.world.treasury, "USDT", 70, "move:1")
    small.wait(1_000)
    assert (asked.stage, small.held(FLIGHT), small.world.waiting()) == (Stage.ASKED, 0, [asked])
    small.world.venue_agreed(asked.id)
    small.world.venue_agreed(asked.id)
    assert small.held("venue:default") == -70
    small.wait(1_000)
    told, _ = small.world.incoming("", 10)
    assert [(entry.payment.sender, entry.payment.memo) for entry in told] == [("venue:default", "move:1")] * 3
    assert small.held(small.world.treasury) == 70
    small.world.venue_refused(asked.id, "too late")
    assert small.held(small.world.treasury) == 70


def test_a_deposit_is_confirmed_by_the_venue_alone(small: SmallWorld) -> None:
    """With all its confirmations it still waits; a venue's no brings it back to the treasury."""
    small.world.link_venue(LINK)
    small.fund_treasury(500)
    for key, agree, held in (("a", True, 400), ("b", False, 400)):
        sent = small.world.send(key, "venue:default", "USDT", 100, "")
        small.wait(2_000)
        (waiting,) = small.world.waiting()
        assert (waiting.id, waiting.stage) == (sent.id, Stage.CREDITING)
        if agree:
            small.world.venue_agreed(sent.id)
        else:
            small.world.venue_refused(sent.id, "venue -9001: no such asset")
        found = small.world.find(f"send:{key}")
        assert found is not None
        assert found.stage is (Stage.CONFIRMED if agree else Stage.REFUSED)
        assert small.held(small.world.treasury) == held
    assert small.held("venue:default") == 100


def test_without_a_venue_nothing_goes_there(small: SmallWorld) -> None:
    """Both ways are refused at once instead of waiting for nobody."""
    small.fund_treasury(500)
    assert small.world.send("s", "venue:default", "USDT", 1, "").stage is Stage.REFUSED
    refused = small.world.withdraw("w", small.world.treasury, "USDT", 1, "")
    assert refused.stage is Stage.REFUSED
    small.world.link_venue(LINK)
    assert small.world.withdraw("w", small.world.treasury, "USDT", 1, "") == refused
    assert small.world.withdraw("v", "bob", "USDT", 1, "").stage is Stage.REFUSED


def test_a_balance_that_its_payments_do_not_explain_stops_the_start(small: SmallWorld) -> None:
    """One changed figure in the file is found and named."""
    wallet = small.wallet(1_000)
    small.journal.close()
    with sqlite3.connect(small.journal.path) as connection:
        connection.execute("UPDATE balances SET units = '1001' WHERE account = ?", (wallet,))
    connection.close()
    with pytest.raises(RailStateError, match=f"{wallet} has 1001 units of USDT"):
        Journal(small.folder)


def test_a_folder_serves_one_rail_of_this_version(small: SmallWorld) -> None:
    """A second one is told so; a newer file and a damaged one are left alone."""
    with pytest.raises(RailStateError, match="in use"):
        Journal(small.folder)
    small.journal.close()
    with sqlite3.connect(small.journal.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(RailStateError, match="version 9"):
        Journal(small.folder)
    small.journal.path.write_bytes(b"no database" * 100)
    with pytest.raises(Exception, match="not a database"):
        Journal(small.folder)
    (small.folder.parent / "file").write_text("")
    with pytest.raises(RailStateError, match="cannot be written"):
        Journal(small.folder.parent / "file")


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "back", "send", "deposit", "withdraw", "agree", "refuse", "wait", "reopen"]),
        st.integers(1, 600),
        st.integers(0, 5),
    ),
    max_size=40,
)


def act(small: SmallWorld, wallet: str, what: str, units: int, key: int) -> None:
    """One action; its keys repeat, so that some are asked for again or conflict."""
    world = small.world
    targets = {"back": wallet, "send": SOME, "deposit": "venue:default"}
    if what in targets:
        world.send(f"s{key}", targets[what], "USDT", units, "")
    elif what == "pay":
        world.pay(wallet, f"p{key}", world.treasury, "USDT", units, "")
    elif what == "withdraw":
        world.withdraw(f"w{key}", world.treasury, "USDT", units, "")
    elif what == "wait":
        small.wait(units)
    elif what == "reopen":
        small.reopen()
    for payment in world.waiting() if what in ("agree", "refuse") else ():
        if what == "agree":
            world.venue_agreed(payment.id)
        else:
            world.venue_refused(payment.id, "no")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS, seed=st.integers(0, 1_000))
def test_nothing_is_made_or_lost(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int, int]], seed: int
) -> None:
    """Whatever is asked, in any order and with faults: balances sum to zero and no wallet is short."""
    rules = [
        strike(RailFaultKind.REFUSE, rate=0.2),
        strike(RailFaultKind.RETRACT, rate=0.2),
        strike(RailFaultKind.RETRACT_LATE, rate=0.2, delay_ms=300),
        strike(RailFaultKind.STALL, rate=0.2, delay_ms=150),
    ]
    small = SmallWorld(tmp_path_factory.mktemp("world"), *rules, seed=seed)
    small.world.link_venue(LINK)
    wallet = small.wallet(5_000)
    for action in actions:
        with suppress(WorldRefusal):
            act(small, wallet, *action)
    accounts = (wallet, SOME, small.world.treasury, FLIGHT, FEES, FAUCET, "venue:default")
    assert sum(small.held(account) for account in accounts) == 0
    assert all(small.held(account) >= 0 for account in (wallet, SOME, small.world.treasury, FLIGHT))
    small.reopen()  # compares every balance with the payments it comes from
    small.journal.close()
