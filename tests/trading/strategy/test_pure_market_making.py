"""Pure market making against tables computed by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fake_exchange import btc_usdt
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking, quotes
from mrmarket.trading.strategy.state import PureMarketMakingState
from mrmarket.trading.venue.port import FillReport, OrderKind

STATE = PureMarketMakingState()
BALANCED = {"base": Decimal(10), "quote": Decimal(600_000)}
"""Worth 1.2 million at 60,000, half of it base."""


def parameters(**changes: Any) -> Parameters:
    """One layer at 10 bps, no skew unless asked for."""
    table = {
        "bid_spread": "0.001",
        "ask_spread": "0.001",
        "number_of_layers": 1,
        "inventory_skew_enabled": False,
        **changes,
    }
    return msgspec.convert(table, Parameters)


def view(**changes: Any) -> MarketView:
    """60,000.00 ± 0.50, bid 1 BTC, ask 3 BTC."""
    made = MarketView(
        btc_usdt(), 0, (5_999_950, 100_000), (6_000_050, 300_000), BALANCED["base"], BALANCED["quote"]
    )
    return replace(made, **changes)


def table(result: TargetQuotes) -> list[tuple[str, str, str]]:
    """(slot, price, size) of each quote."""
    grid = btc_usdt()
    return [
        (each.slot, grid.price_text(each.price_ticks), grid.size_text(each.size_lots))
        for each in result.quotes
    ]


def terms(quote: Quote) -> dict[str, str]:
    """The explanation as name → value."""
    return {term.name: term.value for term in quote.terms}


def test_layers_step_away_from_the_reference() -> None:
    """Layer k buys at ref·(1 - spread·k) and sells at ref·(1 + spread·k); sizes grow by the change."""
    result = quotes(
        view(),
        parameters(number_of_layers=3, ask_spread="0.002", amount_change_per_layer="0.005"),
        STATE,
    )
    assert table(result) == [
        ("b1", "59940", "0.01"),
        ("s1", "60120", "0.01"),
        ("b2", "59880", "0.015"),
        ("s2", "60240", "0.015"),
        ("b3", "59820", "0.02"),
        ("s3", "60360", "0.02"),
    ]
    assert result.reason == ""
    assert not result.hold
    assert result.quotes[0].why == "layer 1: 10 bps below 60000"
    assert result.quotes[1].why == "layer 1: 20 bps above 60000"


@pytest.mark.parametrize(
    ("source", "state", "last", "reference"),
    [
        ("MID_PRICE", {}, None, "60000"),
        ("BEST_BID", {}, None, "59999.5"),
        ("BEST_ASK", {}, None, "60000.5"),
        ("LAST_PRICE", {}, 6_000_030, "60000.3"),
        ("LAST_PRICE", {}, None, "60000"),
        # (59999.5 · 3 + 60000.5 · 1) / 4: the heavy ask pushes down.
        ("MICROPRICE", {}, None, "59999.75"),
        ("OWN_LAST", {"last_fill_ticks": 6_100_000}, None, "61000"),
        ("OWN_LAST", {}, None, "60000"),
        # 2 lots cost 59,000 and 59,001 a BTC.
        ("INVENTORY_COST", {"held_lots": 2, "held_cost_grains": 5_900_000 + 5_900_100}, None, "59000.5"),
        ("INVENTORY_COST", {}, None, "60000"),
    ],
)
def test_price_sources(source: str, state: dict[str, Any], last: int | None, reference: str) -> None:
    """Each source gives the price it is named after; without one the mid stands in."""
    result = quotes(view(last_trade_ticks=last), parameters(price_source=source), replace(STATE, **state))
    told = terms(result.quotes[0])
    assert told["reference"] == reference
    assert ("there is no" in told["price source"]) == (reference == "60000" and source != "MID_PRICE")


def test_prices_are_rounded_away_from_the_market() -> None:
    """Bids go down to the grid and asks up; what lies on the grid stays."""
    odd = view(bid=(5_999_951, 1), ask=(6_000_050, 1))
    assert table(quotes(odd, parameters(bid_spread="0.0001", ask_spread="0.0001"), STATE)) == [
        ("b1", "59994", "0.01"),
        ("s1", "60006.01", "0.01"),
    ]


@pytest.mark.parametrize(
    ("post_only", "last", "slot", "price"),
    [
        (True, 7_000_000, "b1", "60000.49"),
        (False, 7_000_000, "b1", "69930"),
        (True, 5_000_000, "s1", "59999.51"),
        (False, 5_000_000, "s1", "50050"),
    ],
)
def test_post_only_quotes_keep_off_the_other_side(post_only: bool, last: int, slot: str, price: str) -> None:
    """A price beyond the other side is clamped to one tick inside, and says so."""
    chosen = parameters(price_source="OWN_LAST", post_only=post_only)
    result = quotes(view(), chosen, replace(STATE, last_fill_ticks=last))
    prices = {name: value for name, value, _ in table(result)}
    assert prices[slot] == price
    told = [terms(each) for each in result.quotes if each.slot == slot]
    assert ("kept off the other side" in told[0]) == post_only


@pytest.mark.parametrize(
    ("ceiling", "floor", "slots", "words"),
    [
        ("60000", None, ["b1", "s1"], ""),
        ("59999.99", None, ["s1"], "buys pause: the price is above the ceiling 59999.99"),
        (None, "60000", ["b1", "s1"], ""),
        (None, "60000.01", ["b1"], "sells pause: the price is below the floor 60000.01"),
    ],
)
def test_ceiling_and_floor(ceiling: str | None, floor: str | None, slots: list[str], words: str) -> None:
    """Above the ceiling nothing is bought, below the floor nothing is sold; on them both still are."""
    result = quotes(view(), parameters(ceiling_price=ceiling, floor_price=floor), STATE)
    assert [each.slot for each in result.quotes] == slots
    assert result.reason == words


@pytest.mark.parametrize(
    ("base", "quote", "bid", "ask", "reason"),
    [
        # Worth 1.2 M; shares 0.5, 0.625, 0.75, 0.25, 1 against target 0.5 and range 0.25.
        (10, 600_000, "0.01", "0.01", ""),
        (Decimal("12.5"), 450_000, "0.005", "0.015", ""),
        (15, 300_000, None, "0.02", "buys pause: the inventory is at the end of its range"),
        (5, 900_000, "0.02", None, "sells pause: the inventory is at the end of its range"),
        (20, 0, None, "0.02", "buys pause: the inventory is at the end of its range"),
    ],
)
def test_inventory_skews_sizes(
    base: Decimal, quote: int, bid: str | None, ask: str | None, reason: str
) -> None:
    """Sizes run from 2 to 0 across the range around the target; beyond it the side pauses."""
    result = quotes(
        view(base=Decimal(base), quote=Decimal(quote)),
        parameters(inventory_skew_enabled=True, inventory_range="0.25"),
        STATE,
    )
    sizes = {slot: size for slot, _, size in table(result)}
    assert (sizes.get("b1"), sizes.get("s1")) == (bid, ask)
    assert result.reason == reason


def test_inventory_moves_the_reference_and_pauses_a_side() -> None:
    """δ = (0.625 - 0.5)/0.25 = 0.5: the reference falls by 0.5·skew, and at the pivot buying pauses."""
    heavy = view(base=Decimal("12.5"), quote=Decimal(450_000))
    skewed = parameters(inventory_price_skew="0.0004", inventory_range="0.25")
    result = quotes(heavy, skewed, STATE)
    # 60,000 · (1 - 0.0002) = 59,988; ± 10 bps.
    assert table(result) == [("b1", "59928.01", "0.01"), ("s1", "60047.99", "0.01")]
    assert terms(result.quotes[0])["inventory skew"] == "-12"
    pivoted = quotes(heavy, parameters(inventory_range="0.25", inventory_pivot="0.5"), STATE)
    assert [each.slot for each in pivoted.quotes] == ["s1"]
    assert "buys pause: the inventory has passed its pivot (0.5" in pivoted.reason
    light = quotes(
        view(base=Decimal(5), quote=Decimal(900_000)),
        parameters(inventory_range="1", inventory_pivot="0.25"),
        STATE,
    )
    assert [each.slot for each in light.quotes] == ["b1"]


def test_an_empty_account_has_no_skew() -> None:
    """Nothing held: no share, no skew, no pause."""
    result = quotes(view(base=Decimal(0), quote=Decimal(0)), parameters(inventory_skew_enabled=True), STATE)
    assert [size for _, _, size in table(result)] == ["0.01", "0.01"]


def test_adaptive_terms_widen_and_lean() -> None:
    """Half spread 10 bps + 2 σ (σ = 2 bps) + 1 · markout (3 bps) = 17 bps; imbalance leans down."""
    adaptive = parameters(sigma_multiplier=2, toxicity_multiplier=1, imbalance_weight=1)
    result = quotes(view(sigma=0.0002, markout=0.0003), adaptive, STATE)
    # Lean (1 - 3)/(1 + 3) = -0.5 of the half market spread 0.50 → 59,999.75.
    told = terms(result.quotes[0])
    assert (told["volatility"], told["toxicity"], told["imbalance"]) == ("4", "3", "-0.25")
    # 59,999.75 · (1 ∓ 0.0017) = 59,897.750425 and 60,101.749575.
    assert table(result) == [("b1", "59897.75", "0.01"), ("s1", "60101.75", "0.01")]


@pytest.mark.parametrize(("sigma", "markout"), [(None, None), (0.0, -0.01)])
def test_terms_without_a_measurement_do_nothing(sigma: float | None, markout: float | None) -> None:
    """Before the models have seen enough, and when fills were profitable, the spread is the plain one."""
    adaptive = parameters(sigma_multiplier=2, toxicity_multiplier=1)
    result = quotes(view(sigma=sigma, markout=markout), adaptive, STATE)
    assert table(result)[0][1] == "59940"


@pytest.mark.parametrize(
    ("changes", "bid", "clamp"),
    [
        ({"minimum_spread": "0.002"}, "59880", "clamped to the minimum spread"),
        ({"minimum_spread": "0.001"}, "59940", None),
        ({"sigma_multiplier": 10, "maximum_spread": "0.0015"}, "59910", "clamped to the maximum spread"),
        # What the owner asked for is never narrowed, only what the models add.
        ({"sigma_multiplier": 10, "maximum_spread": "0.0005"}, "59940", "clamped to the maximum spread"),
        ({"maximum_spread": "0.0005"}, "59940", None),
    ],
)
def test_clamps(changes: dict[str, Any], bid: str, clamp: str | None) -> None:
    """Minimum and maximum spread bound the half spread and are named in the explanation."""
    result = quotes(view(sigma=0.0002), parameters(**changes), STATE)
    assert table(result)[0][1] == bid
    assert {name for name in terms(result.quotes[0]) if name.startswith("clamped")} == (
        {clamp} if clamp else set()
    )


def test_the_minimum_spread_bounds_live_orders() -> None:
    """A live order nearer than the minimum spread has to go at once: bids above, asks below the bound."""
    result = quotes(view(), parameters(minimum_spread="0.0005"), STATE)
    assert [each.worst_ticks for each in result.quotes] == [5_997_000, 6_003_000]
    assert [each.worst_ticks for each in quotes(view(), parameters(), STATE).quotes] == [None, None]


def test_overrides_replace_the_layers() -> None:
    """Each override is one order of its own side, spread and amount."""
    result = quotes(
        view(),
        parameters(
            order_override=[
                {"side": "buy", "spread": "0.01", "amount": "0.5"},
                {"side": "buy", "spread": "0.02", "amount": "0.25"},
                {"side": "sell", "spread": "0.03", "amount": "0.1"},
            ]
        ),
        STATE,
    )
    assert table(result) == [("b1", "59400", "0.5"), ("b2", "58800", "0.25"), ("s1", "61800", "0.1")]


@pytest.mark.parametrize(
    ("balance", "slots"),
    [
        (0, ["b1", "s1", "b2", "s2"]),
        (1, ["s1", "b2", "s2"]),
        (2, ["s1", "s2"]),
        (-1, ["b1", "b2", "s2"]),
        (-5, ["b1", "b2"]),
    ],
)
def test_ping_pong_skips_the_side_that_is_ahead(balance: int, slots: list[str]) -> None:
    """One completed buy more than sells takes the first buy layer away, and so on."""
    state = replace(STATE, filled_balance=balance)
    result = quotes(view(), parameters(number_of_layers=2, ping_pong_enabled=True), state)
    assert [each.slot for each in result.quotes] == slots
    assert ("ping-pong" in result.reason) == bool(balance)
    plain = quotes(view(), parameters(number_of_layers=2), state)
    assert len(plain.quotes) == 4


def test_quotes_that_the_venue_would_not_take_are_left_out() -> None:
    """Too small an amount, or a price of zero, is named instead of sent."""
    tiny = quotes(view(), parameters(order_amount="0.00005"), STATE)
    assert tiny.quotes == ()
    assert tiny.reason == "b1 is smaller than fake takes; s1 is smaller than fake takes"
    cheap = view(bid=(1, 10), ask=(2, 10), base=Decimal(1), quote=Decimal(1))
    worthless = quotes(
        cheap, parameters(order_amount=100_000_000, bid_spread="0.5", price_source="BEST_BID"), STATE
    )
    assert "b1 has no positive price" in worthless.reason


def test_the_band_moves_only_when_it_is_due() -> None:
    """The band keeps its reference for its time: a jump pauses the side that would chase it."""
    strategy = PureMarketMaking(
        parameters(
            moving_price_band_enabled=True,
            price_band_ceiling="0.01",
            price_band_floor="0.01",
            price_band_refresh_time=10,
        )
    )
    assert len(strategy.quotes(view(now_ns=NS_PER_S)).quotes) == 2
    up = {"bid": (6_069_950, 1), "ask": (6_070_050, 1)}
    jumped = strategy.quotes(view(now_ns=2 * NS_PER_S, **up))
    assert [each.slot for each in jumped.quotes] == ["s1"]
    assert "buys pause: the price has left the band at 60600" in jumped.reason
    down = {"bid": (5_929_950, 1), "ask": (5_930_050, 1)}
    assert [each.slot for each in strategy.quotes(view(now_ns=3 * NS_PER_S, **down)).quotes] == ["b1"]
    assert len(strategy.quotes(view(now_ns=11 * NS_PER_S, **up)).quotes) == 2


def own_fill(
    side: Side, slot: str, *, complete: bool = True, price: int = 5_994_000, lots: int = 1_000
) -> OwnFill:
    """A durable fill."""
    fill = FillReport(
        symbol="BTC/USDT",
        trade_id="1",
        client_order_id="x",
        venue_order_id="1",
        side=side,
        price_ticks=price,
        size_lots=lots,
        fee="0",
        fee_asset="USDT",
        maker=True,
        venue_ns=0,
    )
    return OwnFill(fill, slot, complete, 12_000_000, 0)


def live(slot: str, price: int) -> Order:
    """A live order of 1,000 lots."""
    side = Side.BUY if slot[0] == "b" else Side.SELL
    return Order(f"id{slot}", "BTC/USDT", slot, side, OrderKind.POST_ONLY, price, 1_000, 1, OrderStage.ACKED)


def test_a_fill_starts_a_pause() -> None:
    """For filled_order_delay nothing new is placed; what lives stays wanted."""
    strategy = PureMarketMaking(parameters(filled_order_delay=3))
    assert not strategy.quotes(view(now_ns=5 * NS_PER_S)).hold
    strategy.on_fill(own_fill(Side.BUY, "b1"), 5 * NS_PER_S, [])
    held = strategy.quotes(view(now_ns=8 * NS_PER_S - 1))
    assert held.hold
    assert len(held.quotes) == 2
    assert "after a fill" in held.reason
    assert not strategy.quotes(view(now_ns=8 * NS_PER_S)).hold


def test_a_hanging_order_keeps_its_place() -> None:
    """The bid fills: the ask of the layer stays where it is, and a fresh ask gets a slot of its own."""
    strategy = PureMarketMaking(parameters(hanging_orders_enabled=True))
    strategy.on_fill(own_fill(Side.BUY, "b1"), 0, [live("s1", 6_006_000)])
    result = strategy.quotes(view())
    assert table(result) == [("b1", "59940", "0.01"), ("s1x1", "60060", "0.01"), ("s1", "60060", "0.01")]
    hanging = result.quotes[2]
    assert hanging.sticky
    assert "hangs" in hanging.why
    strategy.on_fill(own_fill(Side.SELL, "s1"), 0, [live("s1x1", 6_006_000)])
    assert [each.slot for each in strategy.quotes(view()).quotes] == ["b1", "s1x1"]


def test_a_hanging_order_that_is_too_far_is_given_up() -> None:
    """Beyond the cancel spread it is no longer wanted, and stays unwanted when the price comes back."""
    strategy = PureMarketMaking(parameters(hanging_orders_enabled=True, hanging_orders_cancel_spread="0.01"))
    strategy.on_fill(own_fill(Side.BUY, "b1"), 0, [live("s1", 6_060_000)])
    assert "s1" in [each.slot for each in strategy.quotes(view()).quotes]
    away = view(bid=(5_999_930, 1), ask=(6_000_050, 1))
    assert "s1" not in [each.slot for each in strategy.quotes(away).quotes]
    assert "s1" not in [each.slot for each in strategy.quotes(view()).quotes]


def test_only_a_complete_fill_with_a_partner_hangs() -> None:
    """A partial fill changes nothing, and neither does one whose other side is not live."""
    strategy = PureMarketMaking(parameters(hanging_orders_enabled=True))
    strategy.on_fill(own_fill(Side.BUY, "b1", complete=False), 0, [live("s1", 6_006_000)])
    strategy.on_fill(own_fill(Side.SELL, "s1"), 0, [])
    assert [each.slot for each in strategy.quotes(view()).quotes] == ["b1", "s1"]


def test_past_fills_restore_price_and_cost_but_no_cycle() -> None:
    """After a restart the last price and the inventory's cost are back; ping-pong begins anew."""
    strategy = PureMarketMaking(parameters(ping_pong_enabled=True))
    strategy.on_past_fill(Side.BUY, 5_900_000, 100)
    strategy.on_past_fill(Side.SELL, 6_100_000, 40)
    state = strategy.state
    assert (state.last_fill_ticks, state.held_lots, state.filled_balance) == (6_100_000, 60, 0)
    assert state.held_cost_grains == 5_900_000 * 60


def test_selling_more_than_was_bought_leaves_no_cost() -> None:
    """The cost basis never goes below an empty inventory."""
    state = STATE.with_fill(Side.BUY, 100, 3, completed=False).with_fill(Side.SELL, 120, 5, completed=True)
    assert (state.held_lots, state.held_cost_grains, state.filled_balance) == (0, 0, -1)


def test_the_face_of_the_strategy() -> None:
    """Rules and order kind come from the parameters."""
    strategy = PureMarketMaking(
        parameters(order_refresh_time=2.5, order_refresh_tolerance="0.0002", max_order_age=60)
    )
    assert strategy.rules.refresh_ns == 2_500_000_000
    assert strategy.rules.max_age_ns == 60 * NS_PER_S
    assert strategy.rules.tolerance == Decimal("0.0002")
    assert (strategy.symbol, strategy.inventory_target) == ("BTC/USDT", Decimal("0.5"))
    assert strategy.order_kind is OrderKind.POST_ONLY
    assert PureMarketMaking(parameters(post_only=False)).order_kind is OrderKind.LIMIT


@given(
    bid=st.integers(10_000, 10_000_000),
    gap=st.integers(1, 500),
    base=st.decimals(0, 100, places=5),
    cash=st.decimals(0, 10**7, places=2),
    spread=st.decimals("0.00001", "0.3", places=5),
    layers=st.integers(1, 3),
    skew=st.booleans(),
    weight=st.decimals(0, 1, places=2),
    source=st.sampled_from(["MID_PRICE", "BEST_BID", "BEST_ASK", "MICROPRICE"]),
)
def test_quotes_never_cross_and_never_take(
    bid: int,
    gap: int,
    base: Decimal,
    cash: Decimal,
    spread: Decimal,
    layers: int,
    skew: bool,
    weight: Decimal,
    source: str,
) -> None:
    """Whatever the market and the account: bids below asks, both on their own side, slots distinct."""
    chosen = parameters(
        bid_spread=str(spread),
        ask_spread=str(spread),
        number_of_layers=layers,
        inventory_skew_enabled=skew,
        inventory_price_skew="0.05",
        imbalance_weight=str(weight),
        price_source=source,
        order_amount=1,
    )
    result = quotes(view(bid=(bid, 5), ask=(bid + gap, 900), base=base, quote=cash), chosen, STATE)
    bids = [each.price_ticks for each in result.quotes if each.side is Side.BUY]
    asks = [each.price_ticks for each in result.quotes if each.side is Side.SELL]
    assert all(0 < price < bid + gap for price in bids)
    assert all(price > bid for price in asks)
    assert not bids or not asks or max(bids) < min(asks)
    assert len({each.slot for each in result.quotes}) == len(result.quotes)
    assert all(each.size_lots > 0 and each.terms and each.why for each in result.quotes)
    assert quotes(view(bid=(bid, 5), ask=(bid + gap, 900), base=base, quote=cash), chosen, STATE) == result
