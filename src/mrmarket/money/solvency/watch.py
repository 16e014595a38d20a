"""Looks at the assets, opens and closes incidents, and keeps payouts of what does not add up in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.solvency.comparison import Line, Place, Span, Standing, compare
from mrmarket.money.solvency.errors import UnknownIncidentError
from mrmarket.money.solvency.repository import IncidentRow, LookRow, Observation, SolvencyRepository
from mrmarket.money.solvency.transit import spans_of
from mrmarket.store.sql import Sql

CRASH_POINTS: Final = ("solvency.blocked", "solvency.unblocked")
"""`solvency.blocked`: an incident is open and its block is written, neither is committed.
`solvency.unblocked`: the same for the end of one."""

RECONCILIATION: Final = "reconciliation"
"""Who closes an incident that is over by itself, and how the reasons of our blocks begin."""

_PATIENCE: Final = 2
"""Looks for which an asset that nobody has seen yet is waited for: a start looks before it has asked."""


@dataclass(slots=True)
class Look:
    """What one look has shown and done."""

    lines: list[Line]
    opened: list[IncidentRow] = field(default_factory=list)
    closed: list[IncidentRow] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether every asset is there."""
        return all(line.is_sound for line in self.lines)


def lines_of(sql: Sql, places: Mapping[str, Place], now_ms: int, more: Iterable[Span] = ()) -> list[Line]:
    """Compare without writing anything: for commands, pages and reports.

    Args:
        sql: a snapshot.
        places: by name, which is the namespace of its assets.
        now_ms: UTC ms.
        more: what else is on its way, such as trades that are not settled yet.
    """
    repository = SolvencyRepository(sql)
    seen = repository.seen()
    spans = [*spans_of(sql), *more]
    for asset, word in seen.items():
        place = places.get(asset.partition(":")[0])
        moved = place and repository.moved_since(asset, word.at_ms - place.slack_ms)
        if moved:
            spans.append(moved)
    lines = compare(repository.owed(), seen, spans, places, now_ms)
    known = {row[0] for row in sql.rows("SELECT id FROM assets")}
    return [line if line.asset in known else _foreign(line) for line in lines]


def observe(draft: Draft, observations: Iterable[Observation]) -> None:
    """Remember what places said they hold. To be carried out by the ledger's writer."""
    repository = SolvencyRepository(draft.sql)
    for observation in observations:
        repository.observe(observation)


def look(draft: Draft, places: Mapping[str, Place], more: Iterable[Span] = ()) -> Look:
    """Compare, and act on what does not add up. To be carried out by the ledger's writer, by itself.

    An asset that does not add up has an incident and its payouts are blocked, by its code, until it has
    added up to the unit `looks_to_close` times in a row, each time by something newer that was seen, or by a
    last word that has had `slack_ms` to be followed by another.
    """
    repository = SolvencyRepository(draft.sql)
    found = Look(lines_of(draft.sql, places, draft.at_ms, more))
    open_by_asset = {row.asset: row for row in repository.open_incidents()}
    for line in found.lines:
        place = places.get(line.place) or Place(line.place, 0)
        fared = _counted(repository.look(line.asset), line, draft.at_ms - place.slack_ms)
        repository.put_look(fared)
        incident = open_by_asset.get(line.asset)
        if incident is None and _is_serious(repository, fared, line, place):
            found.opened.append(_open(draft, repository, line))
        elif incident is not None and fared.good >= place.looks_to_close:
            found.closed.append(_close(draft, repository, incident, RECONCILIATION, "it adds up again"))
    return found


def release(draft: Draft, incident_id: str, who: str, reason: str) -> IncidentRow:
    """The owner takes a difference as it is: the incident is closed and payouts go on.

    The same difference opens no other incident; another one does.

    Raises:
        UnknownIncidentError: if there is no such open incident.
        InvalidInputError: if no reason is given.
    """
    if not reason.strip():
        raise InvalidInputError("reason", reason, "why the difference is accepted")
    repository = SolvencyRepository(draft.sql)
    incident = repository.incident(incident_id)
    if incident is None or incident.state != "open":
        raise UnknownIncidentError(incident_id)
    return _close(draft, repository, incident, who, reason)


def _foreign(line: Line) -> Line:
    return replace(line, standing=Standing.FOREIGN, why="")


def _counted(before: LookRow, line: Line, settled_ms: int) -> LookRow:
    """Count a look that saw something newer; where nothing is to be seen, every look counts.

    A word from before `settled_ms` counts again as well: what moved with it is in the books by now, and a
    place that tells changes only has nothing newer to say while nothing changes. A difference that something
    on its way may explain counts for neither side: who takes money could else hide it behind a payment.
    """
    if line.standing is Standing.EXPLAINED:
        return before
    seen_at_ms = line.seen_at_ms or 0
    repeated = seen_at_ms == before.at_ms and seen_at_ms >= settled_ms
    if line.is_sound:
        if repeated and before.good:
            return before
        return LookRow(line.asset, before.good + 1, 0, seen_at_ms, "")
    if line.standing is Standing.DIFFERS and repeated and before.bad:
        return before
    return LookRow(line.asset, 0, before.bad + 1, seen_at_ms, line.why)


def _is_serious(repository: SolvencyRepository, fared: LookRow, line: Line, place: Place) -> bool:
    if line.is_sound:
        return False
    wanted = place.looks_to_open
    if line.standing is Standing.UNSEEN:
        wanted = max(wanted, _PATIENCE)
    if fared.bad < wanted:
        return False
    last = repository.last_closed(line.asset)
    accepted = last is not None and last.closed_by != RECONCILIATION
    return not (
        accepted
        and last is not None
        and line.standing is Standing.DIFFERS
        and last.difference_units == line.unexplained
    )


def _open(draft: Draft, repository: SolvencyRepository, line: Line) -> IncidentRow:
    incident = IncidentRow(
        id=f"{line.asset}@{draft.at_ms}",
        asset=line.asset,
        place=line.place,
        why=line.why,
        difference_units=line.unexplained,
        state="open",
        opened_ms=draft.at_ms,
        closed_ms=0,
        closed_by="",
        closed_why="",
    )
    repository.put_incident(incident)
    Outbox().block(draft, _code(line.asset), f"{RECONCILIATION}: {line.why}")
    reach("solvency.blocked")
    return incident


def _close(
    draft: Draft, repository: SolvencyRepository, incident: IncidentRow, who: str, why: str
) -> IncidentRow:
    closed = replace(incident, state="closed", closed_ms=draft.at_ms, closed_by=who, closed_why=why)
    repository.put_incident(closed)
    code = _code(incident.asset)
    others = [row for row in repository.open_incidents() if _code(row.asset) == code]
    outbox = Outbox()
    for block in outbox.blocks(draft.sql):
        # A block that somebody else has put there for a reason of their own stays.
        if block.asset_code == code and not others and block.reason.startswith(RECONCILIATION):
            outbox.unblock(draft, code)
    reach("solvency.unblocked")
    return closed


def _code(asset: str) -> str:
    return asset.partition(":")[2]
