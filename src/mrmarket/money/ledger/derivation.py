"""The books rebuilt from the log alone, by code that shares nothing with the code that wrote it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mrmarket.core.money import MAX_UNITS
from mrmarket.money.ledger.chain import GENESIS, POSTED, link

Stream = Callable[[str], Iterable[tuple[Any, ...]]]
"""Rows of a query, one after the other; amounts as canonical text."""

Holding = tuple[str, str]

_PLAIN: Final = (None, None, None, None)
"""Terms of a transfer that moves its units at once."""

_ENDS: Final = {"post": "posted", "void": "voided", "expire": "expired"}


class Fault(Exception):  # noqa: N818 - a finding, not an error
    """Something that is not as it was written."""

    def __init__(self, seq: int | None, reason: str) -> None:
        self.seq = seq
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class DerivedHold:
    """A pending transfer, and where it stands."""

    seq: int
    position: int
    terms: tuple[str, str, str, str]
    """Debit, credit, asset, kind."""
    units: int
    expires_ms: int | None
    state: str = "pending"
    settled_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Milestone:
    """The books after one group."""

    head: bytes
    """That group's hash."""
    owed: dict[str, int]
    """By asset, what all claims come to; zeros left out."""


@dataclass(slots=True)
class Derived:
    """The books, rebuilt from the log."""

    groups: int = 0
    entries: int = 0
    """Two a transfer."""
    head: bytes = GENESIS
    """Hash of the last group."""
    epoch: int = 0
    """Fence of the writer that recorded it."""
    balances: dict[Holding, int] = field(default_factory=dict)
    outgoing: dict[Holding, int] = field(default_factory=dict)
    """Set aside by open holds."""
    incoming: dict[Holding, int] = field(default_factory=dict)
    holds: dict[str, DerivedHold] = field(default_factory=dict)
    floors: dict[str, int | None] = field(default_factory=dict)
    ceilings: dict[str, int] = field(default_factory=dict)
    """Of accounts that have one."""
    assets: set[str] = field(default_factory=set)
    memos: list[str] = field(default_factory=list)
    """Of posted groups, in order; empty ones left out."""
    gates: Container[str] = ()
    """Kinds of accounts through which units enter and leave."""
    doors: list[str] = field(default_factory=list)
    """Accounts of those kinds."""
    milestones: dict[int, Milestone] = field(default_factory=dict)
    """After the groups that were asked for and exist."""

    def sums(self) -> dict[str, str]:
        """By asset id, over all accounts."""
        totals = dict.fromkeys(sorted(self.assets), 0)
        for (_, asset), units in self.balances.items():
            totals[asset] += units
        return {asset: str(total) for asset, total in totals.items()}

    def owed(self) -> dict[str, int]:
        """By asset, what all claims come to: minus what the doors have; zeros left out."""
        sums = {
            asset: -sum(self.balances.get((door, asset), 0) for door in self.doors)
            for asset in sorted(self.assets)
        }
        return {asset: units for asset, units in sums.items() if units}

    def available(self, holding: Holding) -> int:
        """Balance less what is set aside."""
        return self.balances.get(holding, 0) - self.outgoing.get(holding, 0)


def derive(stream: Stream, derived: Derived, milestones: Container[int] = ()) -> None:
    """Go through the log from the first group, and raise `Fault` at the first that does not hold.

    After each group whose number is in `milestones` it notes what was owed.
    """
    assets = _Members(stream, "assets", "id, decimals")
    accounts = _Members(stream, "accounts", "id, kind, floor, ceiling")
    transfers = _Members(
        stream, "transfers", "debit, credit, asset, units, kind, phase, hold, expires_ms, asked"
    )
    groups = stream(
        "SELECT seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, hash"
        " FROM groups ORDER BY seq"
    )
    rules = _Rules(derived)
    for seq, key, content_hash, at_ms, epoch, outcome, message, memo, reverses, digest in groups:
        wanted = derived.groups + 1
        if seq != wanted:
            raise Fault(wanted, f"group {wanted} is missing")
        # Most groups register and open nothing: asking costs as much as the rest of a small group.
        new_assets = assets.of(seq) if assets.next_seq <= seq else []
        new_accounts = accounts.of(seq) if accounts.next_seq <= seq else []
        moved = transfers.of(seq)
        if (
            link(
                derived.head,
                seq,
                key,
                content_hash,
                at_ms,
                epoch,
                outcome,
                message,
                memo,
                reverses,
                new_assets,
                [row[:3] if row[3] is None else row for row in new_accounts] if new_accounts else [],
                [row[:5] if row[5:] == _PLAIN else _form(row) for row in moved],
            )
            != digest
        ):
            raise Fault(seq, f"group {seq} ({key}): hash does not match the content")
        if outcome == POSTED:
            rules.carry_out(seq, key, at_ms, new_assets, new_accounts, moved)
            if memo:
                derived.memos.append(memo)
        elif new_assets or new_accounts or moved:
            raise Fault(seq, f"group {seq} ({key}): rejected, yet something moved")
        if epoch < derived.epoch:
            raise Fault(seq, f"group {seq} ({key}): written with fence {epoch} after {derived.epoch}")
        derived.head, derived.epoch = digest, epoch
        derived.groups += 1
        if seq in milestones:
            derived.milestones[seq] = Milestone(digest, derived.owed())
    for members in (assets, accounts, transfers):
        members.end()


class _Members:
    """Rows of one table in group order, handed out group by group."""

    def __init__(self, stream: Stream, table: str, columns: str) -> None:
        self._table = table
        self._rows = iter(
            stream(
                f"SELECT group_seq, position, {columns} FROM {table} ORDER BY group_seq, position"  # noqa: S608 - constants
            )
        )
        self._next: tuple[Any, ...] = ()
        self.next_seq = 0
        """Group of the row that comes next; more than any has after the last."""
        self._turn(next(self._rows, None))

    def of(self, seq: int) -> list[tuple[Any, ...]]:
        """Rows of a group, without seq and position."""
        if self.next_seq > seq:
            return []
        if self.next_seq < seq:
            raise Fault(self.next_seq, f"{self._table} has rows of a group that posted none")
        if self._next[1] != 0:
            raise Fault(seq, f"a row of {self._table} is missing")
        found = [self._next[2:]]
        for row in self._rows:
            if row[0] != seq:
                self._turn(row)
                return found
            if row[1] != len(found):
                raise Fault(seq, f"a row of {self._table} is missing")
            found.append(row[2:])
        self._turn(None)
        return found

    def end(self) -> None:
        """There must be nothing left."""
        if self._next:
            raise Fault(self.next_seq, f"{self._table} has rows of a group that does not exist")

    def _turn(self, row: tuple[Any, ...] | None) -> None:
        self._next, self.next_seq = (row, row[0]) if row is not None else ((), sys.maxsize)


class _Rules:
    """Applies posted groups to the books, one after the other, as the rules would have it."""

    __slots__ = ("_at_ms", "_books", "_key", "_seq")

    def __init__(self, derived: Derived) -> None:
        self._books = derived
        self._seq = 0
        self._key = ""
        self._at_ms = 0

    def carry_out(
        self,
        seq: int,
        key: str,
        at_ms: int,
        assets: list[tuple[Any, ...]],
        accounts: list[tuple[Any, ...]],
        transfers: list[tuple[Any, ...]],
    ) -> None:
        """Apply a group and check it; raises `Fault` where a rule is broken."""
        self._seq, self._key, self._at_ms = seq, key, at_ms
        books = self._books
        if assets:
            books.assets.update(asset[0] for asset in assets)
        if accounts:
            self._open(accounts)
        balances, known, floors = books.balances, books.assets, books.floors
        givers: list[Holding] = []
        takers: list[Holding] = []
        for position, (debit, credit, asset, text, kind, phase, hold, expires_ms, asked) in enumerate(
            transfers
        ):
            if asset not in known or debit not in floors or credit not in floors:
                raise self._fault("moves an asset or names an account that was never opened")
            units = int(text)
            giver, taker = (debit, asset), (credit, asset)
            if asked is not None:
                self._check_clamp(giver, units, int(asked))
            if phase is None:
                balances[giver] = balances.get(giver, 0) - units
                balances[taker] = balances.get(taker, 0) + units
            elif phase == "pending":
                terms = (debit, credit, asset, kind)
                self._hold(DerivedHold(seq, position, terms, units, expires_ms))
            else:
                self._settle(phase, hold, (debit, credit, asset, kind), units)
                continue
            givers.append(giver)
            takers.append(taker)
        books.entries += 2 * len(transfers)
        if len(givers) > 1:
            self._check_limits(set(givers), set(takers))
        else:
            self._check_limits(givers, takers)

    def _open(self, accounts: list[tuple[Any, ...]]) -> None:
        books = self._books
        for account_id, kind, floor, ceiling in accounts:
            if kind in books.gates:
                books.doors.append(account_id)
            books.floors[account_id] = None if floor is None else int(floor)
            if ceiling is not None:
                books.ceilings[account_id] = int(ceiling)

    def _check_clamp(self, giver: Holding, units: int, asked: int) -> None:
        floor = self._books.floors[giver[0]]
        most = asked if floor is None else min(asked, self._books.available(giver) - floor)
        if units != most:
            raise self._fault(f"moves {units} units where its clamp allows {most}")

    def _hold(self, hold: DerivedHold) -> None:
        if hold.expires_ms is not None and hold.expires_ms <= self._at_ms:
            raise self._fault("holds units until a time that has passed")
        self._books.holds[f"{self._key}#{hold.position}"] = hold
        self._wait(hold, hold.units)

    def _settle(self, phase: str, name: str | None, terms: tuple[str, str, str, str], units: int) -> None:
        hold = self._books.holds.get(name or "")
        if hold is None or hold.terms != terms:
            raise self._fault(f"settles {name}, which is no such hold")
        if hold.state != "pending":
            raise self._fault(f"settles {name}, which was {hold.state} before")
        late = hold.expires_ms is not None and self._at_ms >= hold.expires_ms
        if units > hold.units or (phase != "post" and units != hold.units):
            raise self._fault(f"settles {name} with other units than it holds")
        if (phase == "post" and late) or (phase == "expire" and not late):
            raise self._fault(f"settles {name} at a time when that could not be")
        self._wait(hold, -hold.units)
        if phase == "post":
            balances = self._books.balances
            giver, taker = (terms[0], terms[2]), (terms[1], terms[2])
            balances[giver] = balances.get(giver, 0) - units
            balances[taker] = balances.get(taker, 0) + units
        self._books.holds[name or ""] = DerivedHold(
            hold.seq, hold.position, terms, hold.units, hold.expires_ms, _ENDS[phase], self._seq
        )

    def _wait(self, hold: DerivedHold, units: int) -> None:
        debit, credit, asset, _ = hold.terms
        outgoing, incoming = self._books.outgoing, self._books.incoming
        outgoing[debit, asset] = outgoing.get((debit, asset), 0) + units
        incoming[credit, asset] = incoming.get((credit, asset), 0) + units

    def _check_limits(self, givers: Collection[Holding], takers: Collection[Holding]) -> None:
        books = self._books
        balances, outgoing, incoming = books.balances, books.outgoing, books.incoming
        for holding in givers:
            floor = books.floors[holding[0]]
            available = balances.get(holding, 0) - outgoing.get(holding, 0)
            if (floor is not None and available < floor) or available <= -MAX_UNITS:
                raise self._fault(f"takes {holding[0]} below its floor")
        for holding in takers:
            filled = balances.get(holding, 0) + incoming.get(holding, 0)
            if filled > books.ceilings.get(holding[0], MAX_UNITS - 1):
                raise self._fault(f"takes {holding[0]} above its ceiling")

    def _fault(self, what: str) -> Fault:
        return Fault(self._seq, f"group {self._seq} {what}")


def _form(row: tuple[Any, ...]) -> tuple[object, ...]:
    """How a transfer with terms stands in canonical bytes; see `chain.link`."""
    terms = {"asked": row[8], "expires_ms": row[7], "hold": row[6], "phase": row[5]}
    return (*row[:5], {name: value for name, value in terms.items() if value is not None})
