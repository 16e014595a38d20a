"""Attribution by fills, where it is honest and where it is not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from money.rewards.conftest import StageOpener
from money.rewards.reward_stage import ALICE, BOB, START_MS, USDT, WORLD, held
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.errors import PooledBookError, ShareHistoryError
from mrmarket.money.rewards.per_fill import OwnedFill, PerFill
from mrmarket.money.rewards.receipts import Receipt, receive, register
from mrmarket.store.sql import Sql

FILLS = (
    OwnedFill(START_MS - 1, "f0", ALICE, 99),
    OwnedFill(START_MS, "f1", ALICE, 30),
    OwnedFill(START_MS + 500, "f2", BOB, 50),
    OwnedFill(START_MS + 999, "f3", ALICE, 20),
    OwnedFill(START_MS + 1_000, "f4", BOB, 99),
)


class WrittenFills:
    """Fills out of a list."""

    def __init__(self, fills: Iterable[OwnedFill] = FILLS, *, segregated: bool = True) -> None:
        self._fills = fills
        self._segregated = segregated

    def segregated(self, sql: Sql, pool: str) -> bool:
        """As told."""
        return self._segregated

    def fills(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[OwnedFill]:
        """Everything."""
        return self._fills


def with_rule(open_stage: StageOpener, fills: WrittenFills) -> tuple[object, object]:
    """Allocate one day by fills; balances of Alice and Bob."""
    stage = open_stage().open_books()
    stage.history.steps = [held(ALICE, 1)]
    object.__setattr__(stage.sources, "attributions", (LpShare(stage.history), PerFill(fills)))
    books = Campaign("books", "main", START_MS, START_MS + 1_000, 1_000, "per_fill")
    stage.do(lambda draft: register(draft, books))
    stage.do(lambda draft: receive(draft, Receipt("s", "1", "books", 0, USDT.id, 1_000, 0), WORLD))
    stage.allocator.allocate("books", 0)
    stage.money()
    return stage.balance(ALICE), stage.balance(BOB)


def test_segregated_books_divide_by_their_own_notional(open_stage: StageOpener) -> None:
    """Half of the window's notional is half of the reward; the window is half-open here too."""
    assert with_rule(open_stage, WrittenFills()) == (500, 500)


def test_pooled_books_are_refused_with_the_reason(open_stage: StageOpener) -> None:
    """One book for all, or a fill without an owner: a stable code, and what to do instead."""
    with pytest.raises(PooledBookError) as caught:
        with_rule(open_stage, WrittenFills(segregated=False))
    assert caught.value.code == "per_fill_needs_segregated_books"
    assert "allocate by shares" in str(caught.value)


def test_a_fill_without_an_owner_is_refused(open_stage: StageOpener) -> None:
    """Attributing the rest and not it would make up what nobody knows."""
    with pytest.raises(PooledBookError) as caught:
        with_rule(open_stage, WrittenFills([*FILLS, OwnedFill(START_MS + 1, "f5", None, 1)]))
    assert "f5" in caught.value.reason


def test_a_negative_notional_is_refused(open_stage: StageOpener) -> None:
    """It would take from others."""
    with pytest.raises(ShareHistoryError):
        with_rule(open_stage, WrittenFills([OwnedFill(START_MS + 1, "f5", BOB, -1)]))
