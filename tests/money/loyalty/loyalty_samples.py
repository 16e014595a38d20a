"""A small invented programme: two pools, four providers, twelve weeks of prices."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mrmarket.money.loyalty.event import LiquidityEvent, Pool, Token
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.tiers import DAY_MS

START_MS: Final = 1_725_840_000_000
"""2024-09-09."""
DAYS: Final = 84

WBTC: Final = Token("WBTC", 8, "wrapped-bitcoin")
TBTC: Final = Token("tBTC", 18, "tbtc")
ETH: Final = Token("ETH", 18, "ethereum")
USDX: Final = Token("USDX", 6, "usdx")
CURVE: Final = Pool("0x" + "c" * 40, (WBTC, TBTC))
UNISWAP: Final = Pool("0x" + "d" * 40, (TBTC, ETH))
TRIPLE: Final = Pool("0x" + "e" * 40, (WBTC, ETH, USDX))

ALICE: Final = "0x" + "a1" * 20
BOB: Final = "0x" + "b0" * 20
CAROL: Final = "0x" + "ca" * 20
DAVE: Final = "0x" + "da" * 20


def at_s(day: float) -> int:
    """UTC seconds, so many days after the start."""
    return START_MS // 1000 + round(day * 86_400)


def raw_event(
    kind: str,
    provider: str,
    day: float,
    amounts: Sequence[int],
    *,
    pool: Pool = CURVE,
    owner: str | None = None,
    transaction: str | None = None,
) -> dict[str, Any]:
    """An event in the format with a sender."""
    owner = owner or provider
    args: dict[str, Any]
    if kind in {"Mint", "Burn"}:
        args = {"owner": "0x" + "0" * 24 + owner[2:], "amount0": amounts[0], "amount1": amounts[1]}
    elif kind == "RemoveLiquidityOne":
        place = next((place for place, amount in enumerate(amounts) if amount), 0)
        args = {"provider": owner, "token_id": place, "coin_amount": amounts[place]}
    else:
        args = {"provider": owner, "token_amounts": list(amounts)}
    return {
        "event": kind,
        "args": args,
        "provider": provider,
        "timestamp": at_s(day),
        "transactionHash": transaction or f"0x{at_s(day):x}{provider[2:6]}{kind}",
        "_from": provider,
        "pool_address": pool.address,
        "tokens": {
            f"token{place}": {
                "address": f"0x{place}",
                "decimals": token.decimals,
                "symbol": token.symbol,
                "coingecko_id": token.price_id,
            }
            for place, token in enumerate(pool.tokens)
        },
        "amounts": list(amounts),
        "action": "add" if kind in {"AddLiquidity", "Mint"} else "remove",
    }


def raw_events() -> list[dict[str, Any]]:
    """Alice stays throughout, Bob leaves and returns, Carol comes late with much, Dave is in two pools."""
    whole = 10**18
    return [
        raw_event("AddLiquidity", ALICE, -3, [10**7, 10**17]),
        raw_event("AddLiquidity", BOB, 1.5, [2 * 10**7, 0]),
        raw_event("RemoveLiquidityOne", BOB, 20, [2 * 10**7, 0]),
        raw_event("AddLiquidity", BOB, 30.25, [3 * 10**7, 10**16]),
        raw_event("Mint", CAROL, 83.5, [whole, 10 * whole], pool=UNISWAP, owner="0x" + "f" * 40),
        raw_event("Mint", DAVE, 10, [0, 5 * whole], pool=UNISWAP),
        raw_event("AddLiquidity", DAVE, 12, [10**7, 10**17]),
        raw_event("Burn", DAVE, 40, [0, 2 * whole], pool=UNISWAP),
        raw_event("RemoveLiquidity", DAVE, 50, [5 * 10**6, 5 * 10**16]),
    ]


def raw_prices(days: int = DAYS) -> dict[str, list[list[float]]]:
    """A quote each midnight, end included; bitcoin rises by 100 USD a day, ether stands."""
    stamps = [START_MS + day * DAY_MS for day in range(days + 1)]
    return {
        "wrapped-bitcoin": [[stamp, 60_000 + 100 * day] for day, stamp in enumerate(stamps)],
        "tbtc": [[stamp, 59_900.5 + 100 * day] for day, stamp in enumerate(stamps)],
        "ethereum": [[stamp, 2_500.25] for stamp in stamps],
    }


def write_inputs(
    folder: Path, events: object | None = None, prices: object | None = None
) -> tuple[Path, Path]:
    """Events and prices as files."""
    events_file, prices_file = folder / "events.json", folder / "prices.json"
    events_file.write_text(json.dumps(raw_events() if events is None else events))
    prices_file.write_text(json.dumps(raw_prices() if prices is None else prices))
    return events_file, prices_file


def programme(days: int = DAYS, as_of_ms: int | None = None, **rules: int) -> Programme:
    """A hundred units over so many days."""
    return Programme(START_MS, START_MS + days * DAY_MS, 100 * 10**8, as_of_ms=as_of_ms, **rules)


def flat_prices(days: int, **usd: int) -> dict[str, list[int]]:
    """The same price on every listed day, by price id, in 10^-12 USD."""
    return {name.replace("_", "-"): [price * 10**12] * (days + 1) for name, price in usd.items()}


def change(
    provider: str, time_ms: int, units: Sequence[int], pool: Pool = CURVE, transaction: str = "0x"
) -> LiquidityEvent:
    """An event without a file."""
    return LiquidityEvent(provider, time_ms, pool, tuple(units), max(units) > 0, transaction)


def invented(seed: int) -> tuple[Programme, dict[str, list[int]], list[LiquidityEvent]]:
    """A random programme with its prices and events; edges of days and of the window come up often."""
    rng = random.Random(seed)  # noqa: S311 - samples
    days = rng.choice([2, 10, 60])
    end_ms = START_MS + days * DAY_MS
    as_of_ms = rng.choice(
        [None, START_MS + rng.randrange(1, days * DAY_MS), START_MS + rng.randrange(1, days) * DAY_MS]
    )
    rules = Programme(
        START_MS, end_ms, 10**12, as_of_ms=as_of_ms, min_micro_usd=rng.choice([1, 10**6, 2 * 10**9])
    )
    listed = len(rules.listed_days_ms)
    prices = {
        "wrapped-bitcoin": [rng.randrange(1, 10**17) for _ in range(listed)],
        "tbtc": [rng.randrange(1, 10**17) for _ in range(listed)],
        "ethereum": [rng.randrange(1, 10**15) for _ in range(listed)],
        "usdx": [10**12 + rng.randrange(-(10**9), 10**9) for _ in range(listed)],
    }
    scale = rng.choice([1, 1, 1000])
    events = []
    for number in range(rng.randrange(1, 120)):
        pool = rng.choice([CURVE, UNISWAP, TRIPLE])
        day_ms = START_MS + rng.randrange(days) * DAY_MS
        time_ms = rng.choice(
            [
                START_MS - rng.randrange(5 * DAY_MS),
                day_ms + rng.choice([0, 1, -1]),
                START_MS + rng.randrange(days * DAY_MS),
                end_ms,
                end_ms if as_of_ms is None else as_of_ms,
            ]
        )
        added = rng.random() < 0.6
        sizes = [rng.randrange(10**token.decimals * scale) for token in pool.tokens]
        units = tuple(size if added else -size for size in sizes)
        events.append(
            LiquidityEvent(f"0x{rng.randrange(9):040x}", time_ms, pool, units, added, f"0x{number}")
        )
    return rules, prices, events
