"""A process that takes money in and pays it out until a labelled point ends it.

Started by the crash tests with `MRMARKET_CRASH_AT` set: `payments_crash_child.py FOLDER`. The rail keeps its
own file there, as the world outside does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from money.payouts.payments_house import ALICE, House
from money.payouts.payments_outside import USDT, VENUE_USDT, OutsideRail, Trick
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.payouts.move import Direction, Move
from mrmarket.store.sql import SqliteReader

POOL: Final = Account.of(AccountKind.POOL, "main")
SCALE: Final = 10**10
MEMOS: Final = {"p0": "deposit:alice", "p1": "nobody", "p2": "park:look", "p3": "deposit:bob", "p4": "nobody"}
WITHDRAWALS: Final = {"w0": 11, "w1": 12, "w2": 13}
MOVES: Final = (
    Move("m0", POOL.id, Direction.TO_VENUE, USDT, VENUE_USDT, 60),
    Move("m1", POOL.id, Direction.TO_RAIL, USDT, VENUE_USDT, 70 * SCALE),
    Move("m2", POOL.id, Direction.TO_RAIL, USDT, VENUE_USDT, 5 * SCALE),
)
TRICKS: Final = (Trick.LOST_ANSWER, Trick.LOST_QUESTION, Trick.REFUSAL)
START_NS: Final = ManualClock().now_ns()
MINUTE_MS: Final = 60_000


@contextmanager
def opened(folder: Path, minutes: int) -> Iterator[House]:
    """The house over the folder's files, so many minutes after the first start."""
    clock = ManualClock(START_NS + minutes * MINUTE_MS * NS_PER_MS)
    rail = OutsideRail(clock, folder / "rail.db")
    store = SqliteStore.open(folder / "money.db", "child")
    reader = SqliteReader.open(folder / "money.db")
    house = House(store, reader, rail, clock)
    try:
        yield house
    finally:
        house.close()
        reader.close()
        rail.close()


def found(folder: Path) -> None:
    """Money at both places, and payments on their way to us."""
    with opened(folder, 0) as house:
        house.fund(ALICE, 100, USDT)
        house.fund(POOL, 500, USDT)
        house.fund(POOL, 500 * SCALE, VENUE_USDT)
        for number, (payment_id, memo) in enumerate(MEMOS.items()):
            house.rail.tell(payment_id, 20 + number, memo=memo)


async def live(house: House) -> None:
    """A user's and a pool's wishes, which are repeated after a crash, and the work on them."""
    for key, units in WITHDRAWALS.items():
        house.withdraw(key, units)
    for move in MOVES:
        await house.moves.start(move)
    for _ in range(12):
        await house.round(4_000)
        house.rail.confirm()


def main(folder: Path, minutes: int) -> None:
    """Work until the label is reached, or all is done."""
    with opened(folder, minutes) as house:
        house.rail.tricks["send"].extend(TRICKS)
        house.venue.tricks.append(Trick.LOST_ANSWER)
        asyncio.run(live(house))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
