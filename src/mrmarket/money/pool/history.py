"""Who had how many shares, when, and what they weighed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import gcd, lcm

from mrmarket.money.pool.plan import OWNER_FEES
from mrmarket.money.pool.rows import EntryRow, LotRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.store.sql import Sql


@dataclass(frozen=True, slots=True)
class ShareChange:
    """From `at_ms` on, a user has so many shares, and they weigh so much on average."""

    at_ms: int
    user: str
    """Account id."""
    shares_after: int
    weight_num: int
    weight_den: int


@dataclass(slots=True)
class _Holder:
    lots: dict[str, int] = field(default_factory=dict)


class ShareHistory:
    """Answers whoever divides by shares and time."""

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> list[ShareChange]:
        """See `share_changes`."""
        return share_changes(sql, pool, start_ms, end_ms)


def share_changes(sql: Sql, pool: str, start_ms: int, end_ms: int) -> list[ShareChange]:
    """What every user had at `start_ms`, and every change in `[start_ms, end_ms)`, in order.

    A lock's weight counts while the lock lasts and falls to one when it ends, which is a change too. The
    owner's fee shares are not among them: they share the pool's result and no rewards.
    """
    repository = ShareRepository(sql)
    return changes(repository.entries_before(pool, end_ms), repository.every_lot(pool), start_ms, end_ms)


def changes(
    entries: Sequence[EntryRow], lots: Iterable[LotRow], start_ms: int, end_ms: int
) -> list[ShareChange]:
    """The same, from rows: entries in order from the pool's first on, and every lot that they name."""
    entries = [entry for entry in entries if entry.at_ms < end_ms]
    by_id = {lot.id: lot for lot in lots}
    holders: dict[str, _Holder] = {}
    found: list[ShareChange] = []
    for at_ms, account, entry in _events(entries, by_id, end_ms):
        holder = holders.setdefault(account, _Holder())
        if entry is not None:
            holder.lots[entry.lot] = holder.lots.get(entry.lot, 0) + entry.share_units
        if at_ms >= start_ms:
            found.append(_change(account, holder, by_id, at_ms))
    opening = _opening(entries, by_id, start_ms)
    # What happens at the start belongs to the window: it replaces the opening balance at once.
    return [*opening, *found]


def _opening(entries: Sequence[EntryRow], lots: dict[str, LotRow], start_ms: int) -> list[ShareChange]:
    holders: dict[str, _Holder] = {}
    for entry in entries:
        if entry.at_ms >= start_ms or entry.account == OWNER_FEES.id:
            continue
        holder = holders.setdefault(entry.account, _Holder())
        holder.lots[entry.lot] = holder.lots.get(entry.lot, 0) + entry.share_units
    opening = (_change(account, holder, lots, start_ms) for account, holder in sorted(holders.items()))
    return [change for change in opening if change.shares_after]


def _events(
    entries: Sequence[EntryRow], lots: dict[str, LotRow], end_ms: int
) -> list[tuple[int, str, EntryRow | None]]:
    """Entries and ends of locks before a time, in order; at the same time a lock ends first."""
    events: list[tuple[int, int, str, EntryRow | None]] = [
        (entry.at_ms, entry.number, entry.account, entry)
        for entry in entries
        if entry.account != OWNER_FEES.id
    ]
    first = {entry.lot: entry for entry in reversed(entries)}
    for lot_id, entry in first.items():
        until_ms = lots[lot_id].locked_until_ms
        if entry.at_ms < until_ms < end_ms and entry.account != OWNER_FEES.id:
            events.append((until_ms, 0, entry.account, None))
    events.sort(key=lambda event: event[:2])
    return [(at_ms, account, entry) for at_ms, _, account, entry in events]


def _change(account: str, holder: _Holder, lots: dict[str, LotRow], at_ms: int) -> ShareChange:
    held = [(lots[lot_id], units) for lot_id, units in holder.lots.items() if units]
    total = sum(units for _, units in held)
    if total == 0:
        return ShareChange(at_ms, account, 0, 1, 1)
    weights = [(units, *weight_at(lot, at_ms)) for lot, units in held]
    scale = lcm(*(den for _, _, den in weights))
    num = sum(units * num * (scale // den) for units, num, den in weights)
    shared = gcd(num, scale * total)
    return ShareChange(at_ms, account, total, num // shared, scale * total // shared)


def weight_at(lot: LotRow, at_ms: int) -> tuple[int, int]:
    """A lot's weight: the tier's while its lock lasts, or for ever where it locks nothing; else one."""
    if lot.locked_until_ms > lot.opened_ms and at_ms >= lot.locked_until_ms:
        return 1, 1
    return lot.weight_num, lot.weight_den
