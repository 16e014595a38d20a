"""What the risk state leaves of a strategy's wishes, and that REDUCE never lets the position grow."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_exchange import btc_usdt
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.gate import RiskGate, on_target
from mrmarket.trading.execution.risk.position import Position
from mrmarket.trading.execution.risk.pretrade import Holdings, MarketTop, PreTradeCheck, RiskLimits
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.venue.port import BalanceReport, FillReport, OrderKind

TOP = MarketTop(5_999_900, 6_000_100)
BID = Quote("b1", Side.BUY, 5_999_000, 1_000)
ASK = Quote("s1", Side.SELL, 6_001_000, 1_000)
ASK2 = Quote("s2", Side.SELL, 6_002_000, 1_000)
ALL = TargetQuotes((BID, ASK, ASK2))
RICH = Holdings(Decimal(10), Decimal(1_000_000), Decimal(10), Decimal(1_000_000))


def gate(state: RiskState, gap: int = 0) -> RiskGate:
    """A gate in a state, the position so many lots above its target."""
    return RiskGate(btc_usdt(), lambda: state, gap_lots=lambda _: gap, why=lambda: "because")


def resting(quote: Quote, lots: int | None = None) -> Order:
    """A live order in a quote's slot."""
    return Order(
        quote.slot,
        "BTC/USDT",
        quote.slot,
        quote.side,
        OrderKind.POST_ONLY,
        quote.price_ticks,
        lots or quote.size_lots,
        created_ns=0,
        stage=OrderStage.ACKED,
    )


def slots(targets: TargetQuotes) -> dict[str, int]:
    """Lots by slot."""
    return {quote.slot: quote.size_lots for quote in targets.quotes}


def test_active_changes_nothing() -> None:
    """The very same targets come back."""
    assert gate(RiskState.ACTIVE).allowed(ALL, [], [], TOP) is ALL


@pytest.mark.parametrize("state", [RiskState.CANCEL_ONLY, RiskState.HALT])
def test_nothing_may_stand_beyond_reduce(state: RiskState) -> None:
    """No quote is left, not even one to hold, and the check refuses what comes all the same."""
    made = gate(state)
    left = made.allowed(replace(ALL, hold=True), [resting(ASK)], [], TOP)
    assert left == TargetQuotes(reason="because")
    refused = PreTradeCheck(btc_usdt(), RiskLimits(), made.context).refusal(
        ASK, OrderKind.POST_ONLY, TOP, replace(RICH)
    )
    assert refused is not None
    assert refused.code == "risk_state"


def test_reduce_without_a_market_lets_nothing_stand() -> None:
    """Which side brings the position nearer cannot be told."""
    assert gate(RiskState.REDUCE, 5_000).allowed(ALL, [resting(ASK)], [], None).quotes == ()


@pytest.mark.parametrize(
    ("gap", "live", "left"),
    [
        (5_000, [], {"s1": 1_000, "s2": 1_000}),
        (1_500, [], {"s1": 1_000, "s2": 500}),
        (1_005, [], {"s1": 1_000}),
        (700, [], {"s1": 700}),
        (3, [], {}),
        (0, [], {}),
        (-5_000, [], {"b1": 1_000}),
        (-400, [], {"b1": 400}),
        (5_000, [resting(BID), resting(ASK)], {"s1": 1_000, "s2": 1_000}),
        (1_500, [resting(ASK)], {"s1": 1_000, "s2": 500}),
        (900, [resting(ASK)], {}),
        (1_900, [resting(ASK2)], {"s2": 1_000, "s1": 900}),
        (1_900, [resting(Quote("s9", Side.SELL, 6_003_000, 1_500))], {"s1": 400}),
    ],
)
def test_reduce_leaves_what_brings_the_position_nearer(
    gap: int, live: list[Order], left: dict[str, int]
) -> None:
    """Only that side, together at most the distance, with everything counted that may still be filled."""
    assert slots(gate(RiskState.REDUCE, gap).allowed(ALL, live, [], TOP)) == left


def test_fills_that_are_on_their_way_count() -> None:
    """A closed order of which the venue counted more than was seen may still move the position."""
    short = msgspec.structs.replace(resting(ASK), stage=OrderStage.FILLED, reported_lots=1_000)
    assert slots(gate(RiskState.REDUCE, 1_500).allowed(ALL, [], [short], TOP)) == {"s1": 500}


def test_the_check_holds_the_line_itself() -> None:
    """What the gate has not let through is refused: the wrong side, and more than is left."""
    made = gate(RiskState.REDUCE, 1_500)
    check = PreTradeCheck(btc_usdt(), RiskLimits(), made.context)
    made.allowed(TargetQuotes(), [], [], TOP)
    assert check.refusal(ASK, OrderKind.POST_ONLY, TOP, replace(RICH)) is None
    assert [
        check.refusal(quote, OrderKind.POST_ONLY, TOP, replace(RICH)) is None
        for quote in (BID, ASK2, ASK2.resized(500), ASK2.resized(500))
    ] == [False, False, True, False]
    assert check.counts == {"risk_state": 3}
    bare = RiskGate(btc_usdt(), lambda: RiskState.REDUCE)
    assert bare.allowed(ALL, [], [], TOP).quotes == ()
    assert on_target(TOP) == 0


class Pool:
    """A position that is a plain number, quotes that fill in any order, and the gate between."""

    def __init__(self, gap: int) -> None:
        self.gap = gap
        self.live: dict[str, Order] = {}
        self.gate = RiskGate(btc_usdt(), lambda: RiskState.REDUCE, gap_lots=lambda _: self.gap)
        self.check = PreTradeCheck(btc_usdt(), RiskLimits(max_open_orders=1_000), self.gate.context)

    def quote(self, quotes: tuple[Quote, ...]) -> None:
        """Decide: unwanted orders go, wanted ones that pass the check come."""
        left = self.gate.allowed(TargetQuotes(quotes), list(self.live.values()), [], TOP)
        wanted = {quote.slot for quote in left.quotes}
        held = replace(RICH)
        for quote in left.quotes:
            if quote.slot not in self.live and self.check.refusal(quote, OrderKind.LIMIT, TOP, held) is None:
                self.live[quote.slot] = resting(quote)
        for slot in list(self.live):
            if slot not in wanted:
                del self.live[slot]

    def fill(self, which: int, lots: int) -> None:
        """Somebody takes from one of the orders."""
        if not self.live:
            return
        slot = sorted(self.live)[which % len(self.live)]
        order = self.live[slot]
        lots = min(lots, order.remaining_lots)
        self.gap += order.side.sign * lots
        trade = FillReport(
            symbol="BTC/USDT",
            trade_id=str(len(order.fills)),
            client_order_id=slot,
            venue_order_id="",
            side=order.side,
            price_ticks=order.price_ticks,
            size_lots=lots,
            fee="0",
            fee_asset="USDT",
            maker=True,
            venue_ns=0,
        )
        self.live[slot] = order.with_fill(trade, 0)
        if self.live[slot].is_final:
            del self.live[slot]


QUOTES = st.lists(
    st.tuples(st.sampled_from(["b1", "b2", "s1", "s2", "s3"]), st.integers(10, 5_000)),
    max_size=5,
    unique_by=lambda each: each[0],
)
STEPS = st.lists(
    st.one_of(QUOTES, st.tuples(st.integers(0, 4), st.integers(1, 6_000))), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=80)
@given(st.integers(-10_000, 10_000), STEPS)
def test_reduce_never_lets_the_position_grow(gap: int, steps: list[object]) -> None:
    """Whatever is wanted and whatever is filled, in any order: the distance to the target never rises."""
    pool = Pool(gap)
    for step in steps:
        before = abs(pool.gap)
        if isinstance(step, list):
            pool.quote(
                tuple(
                    Quote(
                        slot,
                        Side.BUY if slot[0] == "b" else Side.SELL,
                        5_999_000 if slot[0] == "b" else 6_001_000,
                        lots,
                    )
                    for slot, lots in step
                )
            )
        elif isinstance(step, tuple):
            pool.fill(*step)
        assert abs(pool.gap) <= before
        assert pool.gap * gap >= 0, "it does not pass the target either"


def account(base: str, quote: str) -> Account:
    """What the venue says."""
    made = Account(btc_usdt())
    made.observe_all(
        [
            BalanceReport(asset="BTC", free=base, locked="0"),
            BalanceReport(asset="USDT", free=quote, locked="0"),
        ]
    )
    return made


@pytest.mark.parametrize(
    ("base", "quote", "share", "gap"),
    [
        ("10", "600000", "0.5", 0),
        ("11", "540000", "0.5", 100_000),
        ("9", "660000", "0.5", -100_000),
        ("1", "0", "0", 100_000),
        ("0.000015", "0", "0", 1),
    ],
)
def test_the_distance_from_the_target(base: str, quote: str, share: str, gap: int) -> None:
    """Base held less its share of the worth at the mid, in whole lots towards the target."""
    position = Position(btc_usdt(), account(base, quote), lambda: 0, lambda: Decimal(share))
    assert position.gap_lots(TOP) == gap


def test_the_reading_nearer_to_the_target_counts() -> None:
    """A fill the balances do not show yet, or a transfer the fills cannot show, never makes room."""
    held, folded = account("11", "540000"), [0]
    position = Position(btc_usdt(), held, lambda: folded[0], lambda: Decimal("0.5"))
    assert position.gap_lots(TOP) == 100_000
    position.tick(0, settled=True)
    folded[0] = -30_000  # sold, and the balance report is late
    position.tick(1, settled=True)
    assert position.gap_lots(TOP) == 70_000
    held.observe(BalanceReport(asset="BTC", free="12", locked="0"))  # a deposit
    before = position.gap_lots(TOP)
    position.tick(4 * NS_PER_S, settled=True)
    assert position.gap_lots(TOP) == before, "not quiet for long enough"
    position.tick(6 * NS_PER_S, settled=False)
    position.tick(12 * NS_PER_S, settled=True)
    assert position.gap_lots(TOP) == 150_000, "the fold is tied to the account anew"


def test_readings_that_disagree_leave_no_room() -> None:
    """Where one says too much and the other too little the position counts as being on its target."""
    held, folded = account("11", "540000"), [0]
    position = Position(btc_usdt(), held, lambda: folded[0], lambda: Decimal("0.5"))
    position.tick(0, settled=True)
    folded[0] = -300_000
    assert position.gap_lots(TOP) == 0
    assert Position(btc_usdt(), Account(btc_usdt()), lambda: 0, lambda: Decimal(0)).gap_lots(TOP) == 0
