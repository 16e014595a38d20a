"""The ids of updates."""

from __future__ import annotations

import pytest

from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.sequence import DepthSequence


def _depth(first: int, last: int, prev: int = 0) -> MarketEvent:
    return MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=0, local_ns=0, first_id=first, last_id=last, prev_id=prev
    )


@pytest.mark.parametrize(
    ("ids", "admitted"),
    [
        ((95, 100, 0), False),  # spot: all of it is in the snapshot
        ((95, 101, 0), True),  # spot: straddles the snapshot
        ((101, 104, 0), True),  # spot: follows at once
        ((90, 99, 80), False),  # futures: older than the snapshot
        ((90, 105, 80), True),  # futures: straddles the snapshot
        ((110, 120, 100), True),  # futures: linked to the snapshot although the numbers jump
        ((90, 100, 80), False),  # futures: ends with the snapshot, so nothing is new
        ((0, 0, 0), True),  # a feed without ids
        ((0, 101, 0), True),  # a feed with one id for each update
    ],
)
def test_first_update_after_a_snapshot(ids: tuple[int, int, int], admitted: bool) -> None:
    """Binance's rule for the first update after `lastUpdateId` 100, spot and futures."""
    sequence = DepthSequence("BTC/USDT")
    sequence.restart(100)
    assert sequence.admit(_depth(*ids)) is admitted


@pytest.mark.parametrize("ids", [(102, 105, 0), (120, 130, 110), (0, 102, 0)])
def test_missing_updates_stop_the_sequence_until_a_snapshot(ids: tuple[int, int, int]) -> None:
    """A gap raises once, then nothing is admitted before the next snapshot."""
    sequence = DepthSequence("BTC/USDT")
    sequence.restart(100)
    with pytest.raises(SequenceGapError) as caught:
        sequence.admit(_depth(*ids))
    assert caught.value.retryable
    assert not sequence.synced
    assert not sequence.admit(_depth(101, 101))
    sequence.restart(200)
    assert sequence.admit(_depth(201, 202))
    assert sequence.last_id == 202


def test_a_repeated_update_is_not_admitted_twice() -> None:
    """A duplicate from a reconnect changes nothing, spot and futures."""
    sequence = DepthSequence("BTC/USDT")
    sequence.restart(100)
    assert [sequence.admit(_depth(101, 103)), sequence.admit(_depth(101, 103))] == [True, False]
    assert [sequence.admit(_depth(150, 160, 103)), sequence.admit(_depth(150, 160, 103))] == [True, False]


def test_a_snapshot_without_an_id_lets_the_next_update_set_it() -> None:
    """A feed that numbers only its updates starts counting with the first."""
    sequence = DepthSequence("BTC/USDT")
    sequence.restart(0)
    assert sequence.admit(_depth(500, 505))
    with pytest.raises(SequenceGapError):
        sequence.admit(_depth(507, 508))
