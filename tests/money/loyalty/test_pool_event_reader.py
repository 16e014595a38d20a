"""Reading liquidity events: what is understood, and what is refused with which code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from money.loyalty.loyalty_samples import ALICE, BOB, CURVE, TRIPLE, UNISWAP, raw_event, raw_events
from mrmarket.money.loyalty.errors import LoyaltyError
from mrmarket.money.loyalty.event import EventLog, in_order
from mrmarket.money.loyalty.pool_events import PoolEventFile

Raw = dict[str, Any]


def read(tmp_path: Path, events: object, *, drop: bool = False) -> EventLog:
    """Read events through a file, as the command does."""
    file = tmp_path / "events.json"
    file.write_text(events if isinstance(events, str) else json.dumps(events))
    return PoolEventFile(file, drop_duplicates=drop).read()


def flat(kind: str, amount0: str, amount1: str) -> Raw:
    """An event in the flat format."""
    return {
        "event": kind,
        "action": "add" if kind == "Mint" else "remove",
        "pool_address": UNISWAP.address.upper().replace("0X", "0x"),
        "provider": ALICE,
        "timestamp": 1_726_000_000,
        "transactionHash": "0xAB",
        "token0": {"symbol": "tBTC", "amount": amount0, "decimals": 18},
        "token1": {"symbol": "ETH", "amount": amount1, "decimals": 18},
    }


def test_additions_are_positive_and_removals_negative(tmp_path: Path) -> None:
    """Every kind of Curve and Uniswap v3 in base units, attributed to who sent the transaction."""
    log = read(tmp_path, raw_events())
    assert [event.units for event in log.events[:4]] == [
        (10**7, 10**17),
        (2 * 10**7, 0),
        (-2 * 10**7, 0),
        (3 * 10**7, 10**16),
    ]
    assert log.events[0].pool == CURVE
    assert log.events[4].provider == raw_events()[4]["_from"]
    assert log.events[7].units == (0, -2 * 10**18)
    assert log.remarks == ()


def test_the_sender_counts_before_the_account_that_is_named(tmp_path: Path) -> None:
    """Somebody's position in a manager's name is theirs who sent the transaction."""
    event = raw_event("Mint", ALICE, 1, [1, 2], pool=UNISWAP) | {"_from": BOB}
    assert read(tmp_path, [event]).events[0].provider == BOB


def test_without_a_sender_the_owner_of_the_log_counts_and_it_is_said(tmp_path: Path) -> None:
    """The older format: a 32-byte topic is an address; the remark warns of manager contracts."""
    event = raw_event("Mint", ALICE, 1, [1, 2], pool=UNISWAP, owner=BOB)
    del event["_from"], event["provider"]
    log = read(tmp_path, [event])
    assert log.events[0].provider == BOB
    assert [(remark.code, remark.count) for remark in log.remarks] == [("no_sender", 1)]


def test_the_flat_format_is_read_with_known_price_names(tmp_path: Path) -> None:
    """Digits as text; the tokens' price ids come from their symbols."""
    log = read(tmp_path, [flat("Mint", "340282366920938463463", "7"), flat("Burn", "1", "0")])
    assert log.events[0].units == (340282366920938463463, 7)
    assert log.events[0].pool == UNISWAP
    assert log.events[0].transaction == "0xab"
    assert log.events[1].units == (-1, 0)


def test_collected_fees_and_swaps_are_left_out_and_counted(tmp_path: Path) -> None:
    """They change no position."""
    other = raw_event("Mint", ALICE, 1, [1, 2], pool=UNISWAP)
    log = read(tmp_path, [{**other, "event": "Collect"}, {**other, "event": "Swap"}, other])
    assert len(log.events) == 1
    assert [(remark.code, remark.count) for remark in log.remarks] == [("ignored_event", 2)]


def test_a_pool_may_have_three_tokens(tmp_path: Path) -> None:
    """`token0` to `token2`, in the order of their numbers."""
    log = read(tmp_path, [raw_event("AddLiquidity", ALICE, 1, [1, 2, 3], pool=TRIPLE)])
    assert log.events[0].pool == TRIPLE


def test_order_is_by_provider_and_time_with_additions_first(tmp_path: Path) -> None:
    """As the recorded programme counted, whatever the order in the file."""
    events = [
        raw_event("RemoveLiquidity", BOB, 2, [1, 1]),
        raw_event("AddLiquidity", BOB, 2, [5, 5]),
        raw_event("AddLiquidity", BOB, 1, [1, 1]),
        raw_event("AddLiquidity", ALICE, 3, [1, 1]),
    ]
    ordered = in_order(read(tmp_path, events).events)
    assert [(event.provider, event.units[0]) for event in ordered] == [
        (ALICE, 1),
        (BOB, 1),
        (BOB, 5),
        (BOB, -1),
    ]


def edit(**changes: object) -> Callable[[list[Raw]], object]:
    """Change fields of the third event."""

    def apply(events: list[Raw]) -> object:
        events[2] |= changes
        return events

    return apply


def drop_field(name: str) -> Callable[[list[Raw]], object]:
    """Take a field out of the third event."""

    def apply(events: list[Raw]) -> object:
        del events[2][name]
        return events

    return apply


def other_decimals(events: list[Raw]) -> object:
    """A token that has other decimals in one event."""
    events[2]["tokens"]["token0"] = {**events[2]["tokens"]["token0"], "decimals": 9}
    return events


def other_tokens(events: list[Raw]) -> object:
    """A pool that holds other tokens in one event."""
    events[2]["tokens"] = {"token0": events[2]["tokens"]["token1"], "token1": events[2]["tokens"]["token0"]}
    return events


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda events: json.dumps(events)[:-40], "corrupt_file", "not whole JSON"),
        (lambda events: {"events": events}, "corrupt_file", "no list of events"),
        (lambda events: [*events[:2], "hello"], "corrupt_event", "event 2"),
        (edit(timestamp="1726000000"), "corrupt_event", "timestamp"),
        (edit(timestamp=1_726_000_000_000), "corrupt_event", "UTC seconds"),
        (edit(timestamp=0), "corrupt_event", "UTC seconds"),
        (edit(amounts=[1.5, 0]), "corrupt_event", "amounts[0]"),
        (edit(amounts=[2 * 10**7, True]), "corrupt_event", "amounts[1]"),
        (edit(amounts=[-2, 0], args={}), "corrupt_event", "2^127"),
        (edit(amounts=[2**127, 0], args={}), "corrupt_event", "2^127"),
        (edit(amounts=[2 * 10**7 + 1, 0]), "corrupt_event", "not those of the log"),
        (edit(amounts=[1, 2, 3], args={}), "corrupt_event", "2 tokens and 3 amounts"),
        (edit(amounts=[], tokens={}, args={}), "corrupt_event", "0 tokens"),
        (edit(action="add"), "corrupt_event", "'add'"),
        (edit(_from="0x12"), "corrupt_event", "no address"),
        (edit(_from="vitalik.eth"), "corrupt_event", "no address"),
        (edit(pool_address=""), "corrupt_event", "pool_address"),
        (edit(event="Sync"), "unknown_event", "'Sync'"),
        (drop_field("transactionHash"), "corrupt_event", "transactionHash"),
        (drop_field("timestamp"), "corrupt_event", "timestamp"),
        (other_decimals, "token_conflict", "WBTC"),
        (other_tokens, "corrupt_event", "WBTC/tBTC before and holds tBTC/WBTC"),
        (lambda events: [*events, events[0]], "duplicate_event", "event 9 repeats event 0"),
        (lambda events: [*events, events[-1]], "duplicate_event", "event 9 repeats event 8"),
        (lambda events: [events[0], *events], "duplicate_event", "--duplicates drop"),
        (lambda events: events + events, "duplicate_event", "9 such copies"),
    ],
)
def test_bad_events_are_refused_with_a_code_and_a_sentence(
    tmp_path: Path, spoil: Callable[[list[Raw]], object], code: str, words: str
) -> None:
    """The sentence names the event and what is wrong with it."""
    with pytest.raises(LoyaltyError) as refused:
        read(tmp_path, spoil(raw_events()))
    assert refused.value.code == code
    assert words in str(refused.value)


@pytest.mark.parametrize("amount", ["", "1.0", "-1", "1e5", "٣", "0x10", "9" * 40])
def test_flat_amounts_are_plain_digits(tmp_path: Path, amount: str) -> None:
    """Nothing is rounded or guessed."""
    with pytest.raises(LoyaltyError) as refused:
        read(tmp_path, [flat("Mint", amount, "1")])
    assert refused.value.code == "corrupt_event"


def test_an_event_that_names_nobody_is_refused(tmp_path: Path) -> None:
    """There is nobody to count it for."""
    event = raw_event("AddLiquidity", ALICE, 1, [1, 2])
    del event["_from"], event["provider"]
    event["args"] = {}
    with pytest.raises(LoyaltyError, match="names no provider"):
        read(tmp_path, [event])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """And nothing is made."""
    with pytest.raises(LoyaltyError, match=r"none\.json"):
        PoolEventFile(tmp_path / "none.json").read()


def test_copies_are_dropped_when_that_is_asked_for(tmp_path: Path) -> None:
    """Each event counts once, and the number of copies is remarked."""
    once = read(tmp_path, raw_events())
    twice = read(tmp_path, raw_events() + raw_events(), drop=True)
    assert twice.events == once.events
    assert [(remark.code, remark.count) for remark in twice.remarks] == [("duplicate_event", 9)]


def cycle(transaction: str, amounts: list[int]) -> list[Raw]:
    """What a vault that rebalances twice in one transaction leaves: burn, poke, burn, poke."""
    burn = raw_event("Burn", ALICE, 5, amounts, pool=UNISWAP, transaction=transaction)
    poke = raw_event("Burn", ALICE, 5, [0, 0], pool=UNISWAP, transaction=transaction)
    return [burn, poke, burn, poke]


def test_a_repeat_within_one_transactions_stretch_happened_twice(tmp_path: Path) -> None:
    """Something else stands between the two, so both count; a remark says so."""
    log = read(tmp_path, cycle("0x1", [3, 4]))
    assert [event.units for event in log.events] == [(-3, -4), (0, 0), (-3, -4), (0, 0)]
    assert [(remark.code, remark.count) for remark in log.remarks] == [("repeated_in_transaction", 2)]


def test_the_same_stretch_fetched_again_is_a_copy(tmp_path: Path) -> None:
    """After another transaction the whole stretch is there again: none of it counts twice."""
    stretch, other = cycle("0x1", [3, 4]), raw_event("AddLiquidity", BOB, 6, [1, 1])
    log = read(tmp_path, [*stretch, other, *stretch], drop=True)
    assert len(log.events) == 5
    assert log.remarks[0].count == 4


def test_events_that_move_nothing_may_follow_each_other(tmp_path: Path) -> None:
    """Two pokes in a row are no danger, whichever they are."""
    poke = raw_event("Burn", ALICE, 5, [0, 0], pool=UNISWAP)
    assert len(read(tmp_path, [poke, poke]).events) == 2


def test_a_log_index_settles_what_is_a_copy(tmp_path: Path) -> None:
    """Two places are two events; one place twice is a copy, and with other content a conflict."""
    event = raw_event("AddLiquidity", ALICE, 1, [1, 2], transaction="0x7")
    assert len(read(tmp_path, [{**event, "logIndex": 3}, {**event, "logIndex": 4}]).events) == 2
    again = [{**event, "logIndex": 3}, {**event, "logIndex": 3}]
    with pytest.raises(LoyaltyError) as refused:
        read(tmp_path, again)
    assert refused.value.code == "duplicate_event"
    assert len(read(tmp_path, again, drop=True).events) == 1
    with pytest.raises(LoyaltyError) as conflict:
        read(tmp_path, [{**event, "logIndex": 3}, {**event, "logIndex": 3, "timestamp": 1_726_000_001}])
    assert conflict.value.code == "conflicting_event"
